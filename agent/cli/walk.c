/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a folder as git sees it. */
#define _GNU_SOURCE
#include "cli/walk.h"
#include "cli/ignore.h"
#include "cli/tracked.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of patterns; git's own limit is the memory. */
#define MAX_PATTERNS ((size_t)1 << 20)
/* A .git file and what it leads to hold one path. */
#define MAX_POINTER ((size_t)8192)

/* A million files and more. */
#define MAX_INDEX ((size_t)1 << 28)

/* A work tree; its index is read when something in it is ignored. */
typedef struct {
  char *git_dir;    /* where the index is; NULL: no work tree */
  Tracked *tracked; /* or NULL */
  bool looked;
} Repository;

typedef struct {
  const Walk *walk;
  GString *path;       /* as it is opened and printed */
  size_t skip;         /* bytes of `path` that stand for the top … */
  char *above;         /* … and what to put there instead, "" or "sub/dir/" */
  const Ignore *rules; /* in force where we are; NULL: none */
  Repository *repository;
  bool ignored; /* where we are: only what is tracked counts */
} Walker;

/* ---- Files of patterns ---------------------------------------------------
 */

static ssize_t
read_up_to(int fd, char *bytes, size_t len)
{
  size_t done = 0;
  ssize_t n = 1;

  for (; done < len && n > 0; done += (size_t)n) {
    n = read(fd, bytes + done, len - done);
    if (n < 0)
      return -1;
  }
  return (ssize_t)done;
}

/* A regular file of at most `max` bytes, no link, or NULL. */
static char *
read_whole(const char *path, size_t max, size_t *len)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  char *text = NULL;
  ssize_t n = -1;

  if (fd < 0)
    return NULL;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= max) {
    text = g_malloc((size_t)st.st_size + 1);
    n = read_up_to(fd, text, (size_t)st.st_size);
  }
  close(fd);
  if (n < 0) {
    g_free(text);
    return NULL;
  }
  text[n] = '\0';
  *len = (size_t)n;
  return text;
}

/* Patterns of dir/name over those in force; NULL when there is no such file. */
static Ignore *
read_patterns(const Ignore *under,
              size_t base_len,
              const char *dir,
              const char *name)
{
  g_autofree char *path = g_build_filename(dir, name, NULL);
  g_autofree char *text = NULL;
  size_t len;

  text = read_whole(path, MAX_PATTERNS, &len);
  return text ? ignore_new(under, base_len, text, len) : NULL;
}

/* The path in a file such as "gitdir: PATH", or NULL. */
static char *
read_pointer(const char *path, const char *lead, const char *base)
{
  g_autofree char *text = NULL;
  size_t len;

  text = read_whole(path, MAX_POINTER, &len);
  if (!text || !g_str_has_prefix(text, lead))
    return NULL;
  g_strchomp(text);
  return g_canonicalize_filename(text + strlen(lead), base);
}

/* The folder of the work tree's own index, or NULL. */
static char *
git_dir(const char *top)
{
  g_autofree char *dot_git = g_build_filename(top, ".git", NULL);

  if (g_file_test(dot_git, G_FILE_TEST_IS_DIR))
    return g_steal_pointer(&dot_git);
  return read_pointer(dot_git, "gitdir: ", top);
}

/* Where it keeps info/exclude: linked work trees share their repository's. */
static char *
common_dir(const char *dir)
{
  g_autofree char *file = g_build_filename(dir, "commondir", NULL);
  char *common = read_pointer(file, "", dir);

  return common ? common : g_strdup(dir);
}

static bool
is_work_tree(const char *dir)
{
  g_autofree char *dot_git = g_build_filename(dir, ".git", NULL);

  return g_file_test(dot_git, G_FILE_TEST_EXISTS);
}

/* ---- Levels --------------------------------------------------------------
 */

/* Every Ignore is kept by whoever walks the folder that it belongs to; so is
 * the repository that begins there. */
typedef struct {
  GPtrArray *own;
  Repository repository;
} Levels;

static void
levels_init(Levels *levels)
{
  levels->own =
      g_ptr_array_new_with_free_func((GDestroyNotify)(void *)ignore_free);
}

static void
levels_clear(Levels *levels)
{
  g_ptr_array_unref(levels->own);
  g_free(levels->repository.git_dir);
  tracked_free(levels->repository.tracked);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Levels, levels_clear)

static void
add_level(Walker *walker,
          Levels *levels,
          size_t base_len,
          const char *dir,
          const char *name)
{
  Ignore *ignore = read_patterns(walker->rules, base_len, dir, name);

  if (!ignore)
    return;
  g_ptr_array_add(levels->own, ignore);
  walker->rules = ignore;
}

/* The user's own patterns, the weakest, then those of the repository. */
static void
begin_tree(Walker *walker, Levels *levels, const char *top)
{
  g_autofree char *common = NULL;

  levels->repository.git_dir = git_dir(top);
  walker->repository = &levels->repository;
  if (levels->repository.git_dir)
    common = common_dir(levels->repository.git_dir);
  walker->rules = NULL;
  walker->ignored = false;
  add_level(walker, levels, 0, g_get_user_config_dir(), "git/ignore");
  if (common)
    add_level(walker, levels, 0, common, "info/exclude");
}

/* Patterns of the folders between the top of root's work tree and root, which
 * itself is not looked at yet. */
static void
begin_above(Walker *walker, Levels *levels, const char *root)
{
  g_autofree char *real = realpath(root, NULL);
  g_autofree char *top = g_strdup(real);
  char *slash = NULL;

  while (top && !is_work_tree(top) && (slash = strrchr(top, '/')))
    *slash = '\0';
  if (!top || !*top) {
    begin_tree(walker, levels, root);
    return;
  }
  begin_tree(walker, levels, top);
  if (strlen(real) == strlen(top))
    return;
  g_free(walker->above);
  walker->above = g_strconcat(real + strlen(top) + 1, "/", NULL);
  for (char *at = walker->above; (slash = strchr(at, '/')); at = slash + 1) {
    g_autofree char *dir =
        g_strndup(real, strlen(top) + (size_t)(at - walker->above));

    add_level(walker, levels, (size_t)(at - walker->above), dir, ".gitignore");
  }
}

/* ---- Folders -------------------------------------------------------------
 */

/* The walker's place as the patterns see it: relative to the top. */
static char *
place_of(const Walker *walker)
{
  const char *below = walker->path->str + walker->skip;

  return g_strconcat(walker->above, below, NULL);
}

static const Tracked *
tracked_of(Repository *repository)
{
  g_autofree char *path = NULL;
  g_autofree char *bytes = NULL;
  size_t len;

  if (!repository) /* outside every folder that was begun */
    return NULL;
  if (repository->looked || !repository->git_dir)
    return repository->tracked;
  repository->looked = true;
  path = g_build_filename(repository->git_dir, "index", NULL);
  bytes = read_whole(path, MAX_INDEX, &len);
  if (bytes)
    repository->tracked = tracked_parse(bytes, len);
  return repository->tracked;
}

/* Patterns say nothing of what git tracks already: it is in the history. Of an
 * ignored folder that much alone is left. */
static bool
is_ignored(const Walker *walker, bool is_dir, bool *only_tracked)
{
  g_autofree char *place = NULL;
  const Tracked *tracked;

  *only_tracked = false;
  if (walker->walk->all)
    return false;
  place = place_of(walker);
  if (!walker->ignored && !ignore_matches(walker->rules, place, is_dir))
    return false;
  tracked = tracked_of(walker->repository);
  if (!tracked)
    return true;
  *only_tracked = is_dir && tracked_below(tracked, place);
  return is_dir ? !*only_tracked : !tracked_has(tracked, place);
}

static void
skip(const Walker *walker, WalkSkip what, const char *why)
{
  walker->walk->skip(walker->walk->data, what, walker->path->str, why);
}

static int
compare_names(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names but ., .. and .git, sorted; NULL with errno. */
static GPtrArray *
read_names(const char *path)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  DIR *dir = opendir(path);
  const struct dirent *entry;

  if (!dir)
    return NULL;
  while ((errno = 0, entry = readdir(dir)))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
        strcmp(entry->d_name, ".git") != 0)
      g_ptr_array_add(names, g_strdup(entry->d_name));
  closedir(dir);
  if (errno)
    return NULL;
  if (names->len)
    qsort(names->pdata, names->len, sizeof(char *), compare_names);
  return g_steal_pointer(&names);
}

static bool walk_folder(Walker *walker, bool is_root);

/* A folder below; it may be a work tree of its own. */
static bool
walk_below(Walker *walker, bool only_tracked)
{
  g_auto(Levels) levels = {0};
  Walker inner = *walker;
  g_autofree char *nothing = g_strdup("");

  levels_init(&levels);
  inner.ignored = only_tracked;
  if (!walker->walk->all && is_work_tree(walker->path->str)) {
    inner.skip = walker->path->len + 1;
    inner.above = nothing;
    begin_tree(&inner, &levels, walker->path->str);
  }
  return walk_folder(&inner, false);
}

/* What stands at the walker's path. */
static bool
visit(Walker *walker)
{
  bool only_tracked;
  struct stat st;

  if (lstat(walker->path->str, &st) != 0) {
    if (errno != ENOENT)
      skip(walker, WALK_FAILED, g_strerror(errno));
    return true;
  }
  if (is_ignored(walker, S_ISDIR(st.st_mode), &only_tracked)) {
    skip(walker, WALK_IGNORED, NULL);
    return true;
  }
  if (S_ISDIR(st.st_mode))
    return walk_below(walker, only_tracked);
  if (S_ISREG(st.st_mode))
    return walker->walk->file(walker->walk->data, walker->path->str);
  skip(walker, S_ISLNK(st.st_mode) ? WALK_LINK : WALK_SPECIAL, NULL);
  return true;
}

static bool
walk_folder(Walker *walker, bool is_root)
{
  g_auto(Levels) levels = {0};
  const size_t len = walker->path->len;
  g_autofree char *place = NULL;
  g_autoptr(GPtrArray) names = read_names(len ? walker->path->str : ".");

  if (!names) {
    if (errno != ENOENT || is_root)
      skip(walker, WALK_FAILED, g_strerror(errno));
    return true;
  }
  levels_init(&levels);
  if (len && walker->path->str[len - 1] != '/')
    g_string_append_c(walker->path, '/');
  if (!walker->walk->all) {
    place = place_of(walker);
    add_level(walker,
              &levels,
              strlen(place),
              len ? walker->path->str : ".",
              ".gitignore");
  }
  for (guint i = 0; i < names->len; i++) {
    const size_t before = walker->path->len;

    g_string_append(walker->path, names->pdata[i]);
    if (!visit(walker))
      return false;
    g_string_truncate(walker->path, before);
  }
  g_string_truncate(walker->path, len);
  return true;
}

bool
walk_tree(const Walk *walk, const char *root)
{
  g_auto(Levels) levels = {0};
  Walker walker = {.walk = walk, .path = g_string_new(root)};
  bool finished;

  levels_init(&levels);
  walker.above = g_strdup("");
  if (!walk->all)
    begin_above(&walker, &levels, root);
  while (walker.path->len > 1 && walker.path->str[walker.path->len - 1] == '/')
    g_string_truncate(walker.path, walker.path->len - 1);
  if (strcmp(walker.path->str, ".") == 0)
    g_string_truncate(walker.path, 0);
  walker.skip = walker.path->len;
  if (walker.path->len && walker.path->str[walker.path->len - 1] != '/')
    walker.skip++;
  finished = walk_folder(&walker, true);
  g_free(walker.above);
  g_string_free(walker.path, TRUE);
  return finished;
}
