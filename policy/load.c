/* SPDX-License-Identifier: Apache-2.0 */
/* A policy from its files or texts; of the former one each layer stays whose
 * new files cannot be used. */
#include "policy/private.h"
#include "policy/source.h"

#include <string.h>

/* The layers on their way to a policy. */
typedef struct {
  GArray *sources[N_LAYERS]; /* of Source */
  bool held[N_LAYERS];       /* as the former policy has it */
  GString *why;              /* what was wrong with those */
} Layers;

static void
layers_init(Layers *layers)
{
  for (unsigned i = 0; i < N_LAYERS; i++) {
    layers->sources[i] = sources_new();
    layers->held[i] = false;
  }
  layers->why = g_string_new(NULL);
}

static void
layers_clear(Layers *layers)
{
  for (unsigned i = 0; i < N_LAYERS; i++)
    g_array_unref(layers->sources[i]);
  g_string_free(layers->why, TRUE);
}

static bool
append_text(GArray *sources,
            const char *name,
            PolicyLayer layer,
            GBytes *bytes,
            GError **error)
{
  Source source = {.layer = layer};
  gsize len;
  const char *text = g_bytes_get_data(bytes, &len);

  source.doc = yaml_parse(name, text != NULL ? text : "", len, error);
  if (source.doc == NULL)
    return false;
  source.text = g_bytes_ref(bytes);
  g_array_append_val(sources, source);
  return true;
}

/* Takes the layer from the former policy; takes over the error when that cannot
 * help. */
static bool
hold_layer(Layers *layers,
           PolicyLayer layer,
           const Policy *former,
           GError *why,
           GError **error)
{
  GArray *sources = layers->sources[layer];

  if (former == NULL) {
    g_propagate_error(error, why);
    return false;
  }
  if (layers->held[layer]) {
    g_propagate_prefixed_error(error, why, "%s layer: ", layer_name(layer));
    return false;
  }
  layers->held[layer] = true;
  g_string_append_printf(layers->why,
                         "%s%s layer: %s",
                         layers->why->len > 0 ? "; " : "",
                         layer_name(layer),
                         why->message);
  g_error_free(why);
  g_array_set_size(sources, 0);
  for (guint i = 0; i < former->files->len; i++) {
    const PolicyFile *file = former->files->pdata[i];

    if (file->layer == layer &&
        !append_text(sources, file->name, layer, file->text, error))
      return false;
  }
  return true;
}

/* All layers' sources in order, borrowed. */
static GArray *
all_sources(const Layers *layers)
{
  GArray *all = g_array_new(FALSE, FALSE, sizeof(Source));

  for (unsigned i = 0; i < N_LAYERS; i++)
    if (layers->sources[i]->len > 0)
      g_array_append_vals(
          all, layers->sources[i]->data, layers->sources[i]->len);
  return all;
}

static bool
same_as_before(const Layers *layers, PolicyLayer layer, const Policy *former)
{
  const GArray *sources = layers->sources[layer];
  guint n = 0;

  for (guint i = 0; i < former->files->len; i++) {
    const PolicyFile *file = former->files->pdata[i];

    if (file->layer != layer)
      continue;
    if (n >= sources->len ||
        !g_bytes_equal(g_array_index(sources, Source, n).text, file->text))
      return false;
    n++;
  }
  return n == sources->len;
}

/* A new central layer that cannot come into force because of others must not
 * leave things as they were. */
static void
blame(const Layers *layers, const Policy *former, GError **error)
{
  if (former == NULL || error == NULL || layers->held[LAYER_CENTRAL] ||
      same_as_before(layers, LAYER_CENTRAL, former))
    return;
  (*error)->code = POLICY_ERROR_CENTRAL;
}

static Policy *
combine(Layers *layers, const Policy *former, GError **error)
{
  for (unsigned tries = 0; tries <= N_LAYERS; tries++) {
    g_autoptr(GArray) all = all_sources(layers);
    PolicyLayer fault = LAYER_CENTRAL;
    GError *wrong = NULL;
    Policy *policy = policy_from_sources(all, &fault, &wrong);

    if (policy != NULL)
      return policy;
    if (!hold_layer(layers, fault, former, wrong, error)) {
      blame(layers, former, error);
      return NULL;
    }
  }
  g_assert_not_reached(); /* each round holds one layer more */
}

/* Reads the files of each layer, or holds the layer. */
static bool
read_files(Reading *reading,
           Layers *layers,
           const PolicySource *files,
           size_t n_files,
           const Policy *former,
           GError **error)
{
  for (size_t i = 0; i < n_files; i++) {
    const PolicyLayer layer = files[i].layer;
    GError *wrong = NULL;

    if (!layers->held[layer] &&
        !source_read(reading, &files[i], layers->sources[layer], &wrong) &&
        !hold_layer(layers, layer, former, wrong, error))
      return false;
  }
  return true;
}

Policy *
policy_load_from(const PolicyReader *reader,
                 const PolicySource *files,
                 size_t n_files,
                 Policy *former,
                 char ***seen,
                 char **held,
                 GError **error)
{
  Reading reading;
  Layers layers;
  Policy *policy = NULL;

  if (n_files == 0) {
    g_set_error(
        error, POLICY_ERROR, POLICY_ERROR_READ, "no policy file is named");
    return NULL;
  }
  reading_init(&reading, reader);
  if (seen != NULL)
    reading.seen = g_ptr_array_new();
  layers_init(&layers);
  if (read_files(&reading, &layers, files, n_files, former, error))
    policy = combine(&layers, former, error);
  if (policy != NULL && held != NULL)
    *held = layers.why->len > 0 ? g_strdup(layers.why->str) : NULL;
  if (seen != NULL) {
    g_ptr_array_add(reading.seen, NULL);
    *seen = (char **)g_ptr_array_free(reading.seen, FALSE);
  }
  layers_clear(&layers);
  reading_clear(&reading);
  return policy;
}

Policy *
policy_load_over(const PolicySource *files,
                 size_t n_files,
                 Policy *former,
                 char ***seen,
                 char **held,
                 GError **error)
{
  return policy_load_beside(NULL, files, n_files, former, seen, held, error);
}

Policy *
policy_load(const PolicySource *files, size_t n_files, GError **error)
{
  return policy_load_over(files, n_files, NULL, NULL, NULL, error);
}

/* ---- From memory ------------------------------------------------------- */

static bool
includes_nothing(const GArray *sources, GError **error)
{
  for (guint i = 0; i < sources->len; i++) {
    const Source *source = &g_array_index(sources, Source, i);
    const YamlNode *include = yaml_get(source->doc->root, "include");

    if (include != NULL)
      return yaml_error(source->doc,
                        include,
                        error,
                        "\"include\" is for files, which this text is none of");
  }
  return true;
}

Policy *
policy_parse_layers(const PolicyText *texts, size_t n, GError **error)
{
  g_autoptr(GArray) sources = sources_new();
  PolicyLayer fault;

  for (size_t i = 0; i < n; i++) {
    g_autoptr(GBytes) bytes = g_bytes_new(texts[i].text, texts[i].len);

    if (!append_text(sources, texts[i].name, texts[i].layer, bytes, error))
      return NULL;
  }
  if (n == 0) {
    g_set_error(
        error, POLICY_ERROR, POLICY_ERROR_READ, "no policy text is given");
    return NULL;
  }
  return includes_nothing(sources, error)
             ? policy_from_sources(sources, &fault, error)
             : NULL;
}

Policy *
policy_parse(const char *name, const char *text, size_t len, GError **error)
{
  const PolicyText one = {name, text, len, LAYER_CENTRAL};

  return policy_parse_layers(&one, 1, error);
}
