/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of several files: what is read in which order, as whose, what is
 * refused and where that is said, and what stays when a file is wrong. */

#include "folder.h"
#include "policy-files.h"

#include <sys/stat.h>
#include <unistd.h>

#define V "version: 1\n"
#define RULE(id) "rules: [{id: " id ", match: {method: GET}, action: block}]\n"

static char *
ids_of(const Policy *policy)
{
  g_autoptr(GString) out = g_string_new(NULL);
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  for (unsigned i = 0; i < n; i++)
    g_string_append_printf(
        out, "%s%s %s", i > 0 ? ", " : "", rules[i]->id, rules[i]->origin);
  return g_strdup(out->str);
}

static void
test_order(void)
{
  static const char all[] =
      "==> /p/p.yaml\n" V "include: [rules.d/*.yaml, /q/last.yaml, e.yaml]\n"
      "default: allow\n" RULE(
          "own") "==> /p/e.yaml\n" V "==> /p/rules.d/20-b.yaml\n" V
          RULE("b") "==> /p/rules.d/.hidden.yaml\n" V RULE(
              "hidden") "==> /p/rules.d/notes.txt\nnothing\n"
                        "==> /p/rules.d/10-a.yaml\n" V "groups: {staff: [x]}\n"
                        "default: block\n" RULE(
                            "a") "==> /q/last.yaml\n" V RULE("last");
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = files_load(all, "/p/p.yaml", LAYER_SYSTEM, &error);
  g_autofree char *ids = NULL, *shown = NULL;
  PolicyLayer layer = LAYER_USER;

  g_assert_no_error(error);
  ids = ids_of(policy);
  g_assert_cmpstr(ids,
                  ==,
                  "own /p/p.yaml:4, a /p/rules.d/10-a.yaml:4, "
                  "b /p/rules.d/20-b.yaml:2, last /q/last.yaml:2");
  /* The first that sets it has it: the file itself. */
  g_assert_cmpint(policy_default(policy), ==, ACTION_ALLOW);
  g_assert_cmpstr(policy_file(policy, 1, &layer), ==, "/p/rules.d/10-a.yaml");
  g_assert_cmpint(layer, ==, LAYER_SYSTEM);
  g_assert_cmpstr(policy_file(policy, 4, &layer), ==, "/p/e.yaml");
  g_assert_null(policy_file(policy, 5, &layer));
  shown = policy_to_text(policy);
  g_assert_nonnull(strstr(shown, "  # system: /p/rules.d/10-a.yaml:4\n"));
  g_assert_nonnull(strstr(shown, "# system: /p/rules.d/10-a.yaml:2\n"));
}

/* A rule may use the groups of any file of its layer, also of a later one. */
static void
test_groups(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = files_load(
      "==> /p/p.yaml\n" V "include: g.yaml\nrules: [{id: r, match: {group: "
      "staff}, action: block}]\n==> /p/g.yaml\n" V "groups: {staff: [x]}\n",
      "/p/p.yaml",
      LAYER_SYSTEM,
      &error);

  g_assert_no_error(error);
  g_assert_nonnull(policy);
}

/* Every byte of every file, and which files there are, is the revision's. */
static void
test_revision(void)
{
  static const char *const files[] = {
      "==> /p/p.yaml\n" V "include: [d/*.yaml]\n==> /p/d/a.yaml\n" V,
      "==> /p/p.yaml\n" V "include: [d/*.yaml]\n==> /p/d/a.yaml\n" V "# x\n",
      "==> /p/p.yaml\n" V "include: [d/*.yaml]\n==> /p/d/a.yaml\n" V
      "==> /p/d/b.yaml\n" V,
      "==> /p/p.yaml\n" V "include: [d/a.yaml]\n==> /p/d/a.yaml\n" V,
  };
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autoptr(Policy) policy =
        files_load(files[i], "/p/p.yaml", LAYER_SYSTEM, NULL);

    g_assert_nonnull(policy);
    g_assert_true(g_hash_table_add(seen, g_strdup(policy_revision(policy))));
  }
}

static const struct {
  const char *files, *message;
  PolicyLayer layer;
} wrong[] = {
    {"==> /p.yaml\n" V "include: {a: b}\n",
     "/p.yaml:2:10: \"include\" must be a text or a list of texts",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: []\n",
     "/p.yaml:2:10: \"include\" must not be empty",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: rules.d\n",
     "/p.yaml:2:10: \"include\" takes names that end in .yaml, of at most 512 "
     "bytes, with wildcards in the last part only",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: ['*/a.yaml']\n",
     "/p.yaml:2:11: \"include\" takes names that end in .yaml, of at most 512 "
     "bytes, with wildcards in the last part only",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include:\n  - a.yaml\n  - b.yaml\n==> /a.yaml\n" V,
     "/p.yaml:4:5: Cannot open /b.yaml: No such file or directory",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: [d/*.yaml]\n",
     "/p.yaml:2:11: Cannot look at /d: No such file or directory",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: [p.yaml]\n",
     "/p.yaml:2:11: /p.yaml is part of the policy already",
     LAYER_SYSTEM},
    {"==> /d/p.yaml\n" V "include: ['*.yaml']\n",
     "/d/p.yaml:2:11: /d/p.yaml is part of the policy already",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: [a.yaml, a.yaml]\n==> /a.yaml\n" V,
     "/p.yaml:2:19: /a.yaml is part of the policy already",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\n" V "include: b.yaml\n",
     "/a.yaml:2:10: a file that is included must not include others",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\n" V "include: p.yaml\n",
     "/a.yaml:2:10: a file that is included must not include others",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\n" V "ruels: []\n",
     "/a.yaml:2:1: unknown key \"ruels\" in a policy file; did you mean "
     "\"rules\"?",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\nrules: []\n",
     "/a.yaml:1:1: a policy file needs \"version\": 1",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V
     "include: a.yaml\n" RULE("r") "==> /a.yaml\n" V RULE("r"),
     "/a.yaml:2:14: rule \"r\" is there already (/p.yaml:3)",
     LAYER_SYSTEM},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\n" V "default: allow\n",
     "/a.yaml:2:10: the user layer must not set \"default\"",
     LAYER_USER},
    {"==> /p.yaml\n" V "include: a.yaml\n==> /a.yaml\n" V
     "rules: [{id: r, match: {user: x}, action: allow}]\n",
     "/a.yaml:2:43: the user layer may only block, approve and mask",
     LAYER_USER},
};

static void
test_wrong(gconstpointer data)
{
  const unsigned i = GPOINTER_TO_UINT(data);
  const char *path =
      strstr(wrong[i].files, "/d/p.yaml") != NULL ? "/d/p.yaml" : "/p.yaml";
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy =
      files_load(wrong[i].files, path, wrong[i].layer, &error);

  g_assert_null(policy);
  g_assert_nonnull(error);
  g_assert_true(error->domain == POLICY_ERROR);
  g_assert_cmpstr(error->message, ==, wrong[i].message);
}

static void
test_bounds(void)
{
  g_autoptr(GString) all =
      g_string_new("==> /p.yaml\n" V "include: [d/*.yaml]\n");
  g_autoptr(GError) many = NULL, big = NULL;
  g_autoptr(Policy) policy = NULL;

  for (unsigned i = 0; i < SOURCE_MAX_FILES - 1; i++)
    g_string_append_printf(all, "==> /d/%03u.yaml\n" V, i);
  policy = files_load(all->str, "/p.yaml", LAYER_SYSTEM, NULL);
  g_assert_nonnull(policy);
  g_string_append(all, "==> /d/more.yaml\n" V);
  g_assert_null(files_load(all->str, "/p.yaml", LAYER_SYSTEM, &many));
  g_assert_cmpstr(many->message, ==, "/p.yaml:2:11: more than 256 files");
  g_string_assign(all, "==> /p.yaml\n" V "include: [d/*.yaml]\n");
  for (unsigned i = 0; i < 9; i++) {
    g_autofree char *line = g_strnfill(1000 * 1000, 'x');

    g_string_append_printf(all, "==> /d/%u.yaml\n" V "# %s\n", i, line);
  }
  g_assert_null(files_load(all->str, "/p.yaml", LAYER_SYSTEM, &big));
  g_assert_cmpstr(big->message,
                  ==,
                  "/p.yaml:2:11: all files are longer than 8388608 bytes "
                  "together");
}

static void
test_text(void)
{
  static const char text[] = V "include: a.yaml\n";
  g_autoptr(GError) error = NULL;

  g_assert_null(policy_parse("p.yaml", text, strlen(text), &error));
  g_assert_cmpstr(error->message,
                  ==,
                  "p.yaml:2:10: \"include\" is for files, which this text is "
                  "none of");
}

/* ---- Real files --------------------------------------------------------- */

static char *
put(const char *dir, const char *name, const char *text)
{
  char *path = g_build_filename(dir, name, NULL);
  g_autofree char *folder = g_path_get_dirname(path);

  g_mkdir_with_parents(folder, 0755);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  g_chmod(path, 0644);
  return path;
}

static char *
refusal(const char *path, FileTrust trust)
{
  const PolicySource file = {path, LAYER_SYSTEM, trust};
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_load(&file, 1, &error);

  g_assert_cmpint(policy == NULL, ==, error != NULL);
  return error != NULL ? g_strdup(error->message) : NULL;
}

static void
assert_refusal(const char *path, FileTrust trust, const char *part)
{
  g_autofree char *said = refusal(path, trust);

  g_test_message("%s", said != NULL ? said : "loaded");
  if (part == NULL)
    g_assert_null(said);
  else
    g_assert_nonnull(strstr(said, part));
}

static void
test_trust(void)
{
  g_autofree char *dir = g_dir_make_tmp("hoop-include-XXXXXX", NULL);
  g_autofree char *path = put(dir, "p.yaml", V "include: [d/*.yaml]\n");
  g_autofree char *inner = put(dir, "d/a.yaml", V RULE("a"));
  g_autofree char *folder = g_path_get_dirname(inner);

  assert_refusal(path, FILE_ANYONES, NULL);
  assert_refusal(path, FILE_OWN, NULL);
  g_chmod(inner, 0666);
  assert_refusal(path, FILE_ANYONES, NULL);
  assert_refusal(path, FILE_OWN, "/p.yaml:2:11: Others can write ");
  g_chmod(inner, 0644);
  g_chmod(folder, 0777);
  assert_refusal(path, FILE_OWN, "(mode 0777): run chmod go-w ");
  g_chmod(folder, 0755);
  g_chmod(path, 0646);
  assert_refusal(path, FILE_OWN, "(mode 0646): run chmod go-w ");
  g_chmod(path, 0644);
  if (geteuid() == 0) {
    assert_refusal(path, FILE_ROOTS, NULL);
    g_assert_cmpint(chown(inner, 12345, 0), ==, 0);
    assert_refusal(path, FILE_OWN, "belongs to uid 12345");
    assert_refusal(path, FILE_ROOTS, "must belong to root: run chown root ");
    g_assert_cmpint(chown(inner, 0, 0), ==, 0);
    g_chmod(dir, 0777);
    assert_refusal(path, FILE_OWN, NULL);
    assert_refusal(path, FILE_ROOTS, "Others can write ");
  } else {
    assert_refusal(path, FILE_ROOTS, "must belong to root: run chown root ");
  }
  remove_folder(dir);
}

/* ---- What stays --------------------------------------------------------- */

/* Central, system and user in one text; "" is no file of that layer. */
static Policy *
load_over(const char *all, Policy *former, char **held, GError **error)
{
  static const char *const names[] = {"/c.yaml", "/s.yaml", "/u.yaml"};
  const PolicyReader reader = {
      .read = files_read, .list = files_list, .data = (void *)(uintptr_t)all};
  PolicySource files[3];
  size_t n = 0, len;

  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
    if (files_find(all, names[i], &len) != NULL)
      files[n++] = (PolicySource){names[i], (PolicyLayer)i, FILE_OWN};
  return policy_load_from(&reader, files, n, former, NULL, held, error);
}

#define C(id) "==> /c.yaml\n" V RULE(id)
#define SYS(id) "==> /s.yaml\n" V "default: allow\n" RULE(id)
#define U(id) "==> /u.yaml\n" V RULE(id)
#define BAD(name) "==> /" name ".yaml\n" V "rulse: []\n"

static void
test_hold(void)
{
  static const struct {
    const char *files, *ids, *held;
  } steps[] = {
      {C("c2") SYS("s2") U("u2"),
       "c2 /c.yaml:2, s2 /s.yaml:3, u2 /u.yaml:2",
       NULL},
      /* One layer is wrong: the others change. */
      {C("c3") SYS("s2") BAD("u"),
       "c3 /c.yaml:2, s2 /s.yaml:3, u2 /u.yaml:2",
       "user layer: /u.yaml:2:1: "},
      {C("c4") BAD("s") U("u4"),
       "c4 /c.yaml:2, s2 /s.yaml:3, u4 /u.yaml:2",
       "system layer: /s.yaml:2:1: "},
      {BAD("c") SYS("s5") U("u4"),
       "c4 /c.yaml:2, s5 /s.yaml:3, u4 /u.yaml:2",
       "central layer: /c.yaml:2:1: "},
      {C("c6") BAD("s") BAD("u"),
       "c6 /c.yaml:2, s5 /s.yaml:3, u4 /u.yaml:2",
       "user layer: /u.yaml:2:1: "},
      /* What does not go together is wrong in the later layer. */
      {C("c7") SYS("s7") U("c7"),
       "c7 /c.yaml:2, s7 /s.yaml:3, u4 /u.yaml:2",
       "user layer: /u.yaml:2:14: rule \"c7\" is there already"},
      /* A layer that is taken away is gone. */
      {SYS("s8"), "s8 /s.yaml:3", NULL},
      {SYS("s8") BAD("u"), "s8 /s.yaml:3", "user layer: "},
  };
  g_autoptr(Policy) policy = load_over(C("c1") SYS("s1"), NULL, NULL, NULL);

  g_assert_nonnull(policy);
  for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *held = NULL, *ids = NULL;
    Policy *next = load_over(steps[i].files, policy, &held, &error);

    g_assert_no_error(error);
    ids = ids_of(next);
    g_assert_cmpstr(ids, ==, steps[i].ids);
    g_test_message("%s", held != NULL ? held : "-");
    if (steps[i].held == NULL)
      g_assert_null(held);
    else
      g_assert_nonnull(strstr(held, steps[i].held));
    policy_unref(policy);
    policy = next;
  }
}

/* A user cannot keep a new central layer from coming into force: what was
 * before must not go on then. */
static void
test_outdated(void)
{
  g_autoptr(Policy) former =
      load_over(C("c1") SYS("s1") U("u1"), NULL, NULL, NULL);
  g_autoptr(GError) same = NULL, other = NULL;
  g_autofree char *held = NULL;

  g_assert_nonnull(former);
  g_assert_null(load_over(C("u1") SYS("s1") U("u1"), former, &held, &other));
  g_assert_error(other, POLICY_ERROR, POLICY_ERROR_CENTRAL);
  g_assert_cmpstr(other->message,
                  ==,
                  "user layer: /u.yaml:2:14: rule \"u1\" is there already "
                  "(/c.yaml:2)");
  g_assert_null(held);
  /* Where central says the same as before, before is fine. */
  g_assert_null(load_over(C("c1") SYS("u1") U("u1"), former, &held, &same));
  g_assert_error(same, POLICY_ERROR, POLICY_ERROR_VALUE);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/include/order", test_order);
  g_test_add_func("/policy/include/groups", test_groups);
  g_test_add_func("/policy/include/revision", test_revision);
  g_test_add_func("/policy/include/bounds", test_bounds);
  g_test_add_func("/policy/include/text", test_text);
  g_test_add_func("/policy/include/trust", test_trust);
  g_test_add_func("/policy/include/hold", test_hold);
  g_test_add_func("/policy/include/outdated", test_outdated);
  for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autofree char *name = g_strdup_printf("/policy/include/wrong/%u", i);

    g_test_add_data_func(name, GUINT_TO_POINTER(i), test_wrong);
  }
  return g_test_run();
}
