/* SPDX-License-Identifier: Apache-2.0 */
/* Groups by claim path. What is not understood whole is not known: half a list
 * would be a weaker policy. */
#include "identity/groups.h"
#include <string.h>

/* What a policy can be written for; a claim with more is no list of groups. */
#define MAX_GROUPS 1000
#define MAX_GROUP 256
/* Dots in a path that are tried; each can part it. */
#define MAX_DOTS 16
#define DEFAULT_CLAIM "groups"
/* In place of a claim. Nothing else means it: no empty key, no other case. */
#define NO_CLAIM "none"
/* The group of solo mode, which no provider can put anybody into. */
#define SOLO_GROUP "local"

typedef struct {
  const IssuerOptions *issuer;
  const ProviderQuirk *quirk;
  const char *path;
  GPtrArray *names;
  const char *fault; /* what is wrong with the claim; static */
} Reading;

bool
groups_none(const IssuerOptions *issuer)
{
  return g_strcmp0(issuer->groups_claim, NO_CLAIM) == 0;
}

static const char *
claim_path(const IssuerOptions *issuer)
{
  return issuer->groups_claim && *issuer->groups_claim ? issuer->groups_claim
                                                       : DEFAULT_CLAIM;
}

/* The whole path as one name first, then each part before a dot. */
static const Document *
find(const Document *in, const char *path, unsigned dots)
{
  const Document *found = document_member(in, path);

  for (const char *dot = strchr(path, '.'); !found && dot && dots > 0;
       dot = strchr(dot + 1, '.'), dots--) {
    g_autofree char *first = g_strndup(path, (size_t)(dot - path));
    const Document *inner = document_member(in, first);

    if (json_object_is_type(inner, json_type_object))
      found = find(inner, dot + 1, dots - 1);
  }
  return found;
}

static bool
is_true(const Document *value)
{
  return json_object_is_type(value, json_type_boolean)
             ? json_object_get_boolean(value)
             : json_object_is_type(value, json_type_string) &&
                   strcmp(json_object_get_string((Document *)value), "true") ==
                       0;
}

/* Core 1.0 section 5.6.2: the claim is elsewhere; and Entra's word in tokens
 * that come through a browser. */
static bool
left_out(const Document *claims, const char *path)
{
  const Document *elsewhere = document_member(claims, "_claim_names");

  return (elsewhere && find(elsewhere, path, MAX_DOTS)) ||
         (strcmp(path, DEFAULT_CLAIM) == 0 &&
          is_true(document_member(claims, "hasgroups")));
}

/* Okta behind a company's own name is known by its tokens: `jti` ID.…, `idp`
 * 00o… and `ver` 1. */
static const ProviderQuirk *
quirk_of(const IssuerOptions *issuer, const Document *claims)
{
  const ProviderQuirk *quirk = provider_quirk(issuer->issuer);
  const char *jti = document_text(claims, "jti");
  const char *idp = document_text(claims, "idp");

  if (!quirk->name && jti && idp && g_str_has_prefix(jti, "ID.") &&
      g_str_has_prefix(idp, "00o") &&
      json_object_is_type(document_member(claims, "ver"), json_type_int))
    return provider_quirk("https://corp.okta.com");
  return quirk;
}

/* The policy's name for it, borrowed; NULL: it is left out. */
static const char *
map_name(const Reading *reading, const char *name)
{
  const char *prefix = reading->issuer->groups_prefix;

  if (reading->quirk->groups_are_paths && *name == '/' &&
      !(prefix && *prefix == '/'))
    name++;
  if (prefix && *prefix) {
    if (!g_str_has_prefix(name, prefix))
      return NULL;
    name += strlen(prefix);
  }
  return *name && strcmp(name, SOLO_GROUP) != 0 ? name : NULL;
}

static bool
add_name(Reading *reading, const char *name)
{
  g_autofree char *printable = claims_printable(name, MAX_GROUP + 1);
  const char *mapped;

  if (!*name)
    reading->fault = "has an empty name";
  else if (strlen(name) > MAX_GROUP)
    reading->fault = "has a name of over 256 bytes";
  else if (strcmp(printable, name) != 0)
    reading->fault = "has a name that cannot be printed";
  if (reading->fault)
    return false;
  mapped = map_name(reading, name);
  if (!mapped || g_ptr_array_find_with_equal_func(
                     reading->names, mapped, g_str_equal, NULL))
    return true;
  if (reading->names->len >= MAX_GROUPS) {
    reading->fault = "holds over 1000 groups (groups-prefix can narrow them)";
    return false;
  }
  g_ptr_array_add(reading->names, g_strdup(mapped));
  return true;
}

static void
read_text(Reading *reading, const char *text)
{
  const char *separator = reading->issuer->groups_separator;
  g_auto(GStrv) parts = NULL;

  if (separator && *separator) {
    parts = g_strsplit(text, separator, -1);
    for (unsigned i = 0; parts[i]; i++)
      if (*g_strstrip(parts[i]) && !add_name(reading, parts[i]))
        return;
  } else if (strpbrk(text, ",;| ")) {
    reading->fault = "is one text that may be several groups: set "
                     "groups-separator (to a character that no group has, "
                     "where it is one)";
  } else if (*text) {
    add_name(reading, text);
  }
}

static void
read_list(Reading *reading, const Document *list)
{
  const size_t n = json_object_array_length(list);

  for (size_t i = 0; i < n; i++) {
    Document *one = json_object_array_get_idx(list, i);

    if (!json_object_is_type(one, json_type_string)) {
      reading->fault = "has a member that is no text";
      return;
    }
    if (!add_name(reading, json_object_get_string(one)))
      return;
  }
}

static void
read_value(Reading *reading, const Document *value)
{
  if (json_object_is_type(value, json_type_array))
    read_list(reading, value);
  else if (json_object_is_type(value, json_type_string))
    read_text(reading, json_object_get_string((Document *)value));
  else
    reading->fault = "is neither a list nor a text";
}

static char *
sentence(const Reading *reading, const char *fault, const char *advice)
{
  g_autofree char *path = claims_printable(reading->path, MAX_GROUP);
  const char *name = reading->quirk->name;

  return g_strdup_printf(
      "The groups are not known: the claim `%s` of %s %s.%s%s",
      path,
      name ? name : "the provider",
      fault,
      advice ? " " : "",
      advice ? advice : "");
}

static bool
may_be_cut(const Reading *reading, const Document *value)
{
  return reading->quirk->groups_full > 0 &&
         json_object_is_type(value, json_type_array) &&
         json_object_array_length(value) == reading->quirk->groups_full;
}

char **
groups_read(const IssuerOptions *issuer,
            const Document *claims,
            const Document *userinfo,
            char **unknown)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  Reading reading = {.issuer = issuer,
                     .quirk = quirk_of(issuer, claims),
                     .path = claim_path(issuer),
                     .names = names};
  const Document *value = find(claims, reading.path, MAX_DOTS);

  if (groups_none(issuer))
    return g_new0(char *, 1);
  if (!value)
    value = find(userinfo, reading.path, MAX_DOTS);
  if (left_out(claims, reading.path) || left_out(userinfo, reading.path)) {
    *unknown = sentence(
        &reading, "is left out, for being too long", reading.quirk->overage);
    return NULL;
  }
  if (!value) {
    *unknown = sentence(&reading, "is missing", reading.quirk->no_groups);
    return NULL;
  }
  if (may_be_cut(&reading, value)) {
    *unknown = sentence(&reading, "may be cut short", reading.quirk->overage);
    return NULL;
  }
  read_value(&reading, value);
  if (reading.fault) {
    *unknown = sentence(&reading, reading.fault, NULL);
    return NULL;
  }
  g_ptr_array_add(names, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

bool
groups_open(const IssuerOptions *issuer, const Document *claims)
{
  const char *path = claim_path(issuer);

  return !groups_none(issuer) && !find(claims, path, MAX_DOTS) &&
         !left_out(claims, path);
}
