/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share. Private to it. */
#ifndef HOOP_BUNDLE_PRIVATE_H
#define HOOP_BUNDLE_PRIVATE_H

#include "bundle/bundle.h"

/* Always false. */
bool bundle_fail(GError **error, BundleErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
bool bundle_path_is_fine(const char *path);

#endif
