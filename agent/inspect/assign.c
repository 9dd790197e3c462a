/* SPDX-License-Identifier: Apache-2.0 */
/* Judges a value by the name before it and by how both are written. */
#include "inspect/detector.h"
#include "inspect/value.h"

#include <string.h>

/* A name is looked for so far before the operator. */
#define NAME_BACK 120
#define MAX_NAME 80
/* Shorter passwords, tokens are none; longer passwords are something else. */
#define PASSWORD_MIN 4
#define PASSWORD_MAX 128
#define TOKEN_MIN 8
/* A word with a digit behind it is no variable when it is so long. */
#define LONG_WORD 10
/* Tokens of letters alone are longer. */
#define LETTERS_MIN 16
/* What a machine made has at least so many bits for each character. */
#define TOKEN_BITS 2.7
#define TOKEN_BITS_LONG 3.1
#define TOKEN_LONG 20

/* How the value is written. */
typedef struct {
  bool quoted;
  bool line;     /* name first in its line, value last: a setting */
  bool tight;    /* no blank before the value, or a colon */
  bool upper;    /* DB_PASSWORD */
  bool joined;   /* in a URL's query or a connection string: a=b&c=d */
  bool call;     /* f(name, "value") or name("value") */
  bool fallback; /* ${name:-value} */
  char operator; /* = or : or ( or , or a blank */
} Place;

static bool
is_name_byte(char c)
{
  return g_ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '$';
}

static bool
is_blank(char c)
{
  return c == ' ' || c == '\t';
}

/* ---- Passwords ----------------------------------------------------------- */

/* Words that are passwords more often than texts about them. */
static bool
is_known_password(const char *text, size_t len)
{
  static const char *const known[] = {"admin",      "administrator",
                                      "root",       "toor",
                                      "postgres",   "guest",
                                      "letmein",    "qwerty",
                                      "qwertyuiop", "dragon",
                                      "monkey",     "iloveyou",
                                      "welcome",    "master",
                                      "sunshine",   "princess",
                                      "football",   "shadow",
                                      "superman",   "batman",
                                      "hunter",     "baseball",
                                      "michael",    "jordan",
                                      "abcdef",     "asdfgh",
                                      "asdfghjkl",  "zxcvbn",
                                      "zxcvbnm",    "mysql",
                                      "rabbitmq",   "oracle",
                                      "manager",    "tomcat",
                                      "vagrant",    "raspberry",
                                      "alpine",     "minioadmin",
                                      "elastic",    "passw",
                                      "trustno",    "access",
                                      "starwars",   "freedom",
                                      "sesame",     "opensesame",
                                      "system",     "support",
                                      "cisco",      "sa",
                                      "ubnt",       NULL};

  for (unsigned i = 0; known[i] != NULL; i++)
    if (strlen(known[i]) == len &&
        g_ascii_strncasecmp(text, known[i], len) == 0)
      return true;
  return false;
}

static bool
is_harmless(const char *text, size_t len)
{
  return value_is_reference(text, len) || value_is_placeholder(text, len) ||
         value_is_address(text, len);
}

bool
password_is_secret(const char *text, size_t len)
{
  return len >= 3 && !value_is_reference(text, len) &&
         !value_is_placeholder(text, len) && !names_a_secret(text, len);
}

/* A text for people rather than a password. */
static bool
is_prose(const char *text, size_t len, const ValueShape *shape)
{
  const char last = text[len - 1];

  if (shape->spaces > 0)
    return shape->letters * 2 >= len && shape->digits * 4 <= len;
  return shape->digits == 0 && shape->usual == shape->letters &&
         strchr(":.?!*,;)", last) != NULL && shape->others + shape->joints <= 2;
}

/* What is written in quotes where a password belongs. */
static bool
is_quoted_password(const char *text, size_t len, const Place *place)
{
  ValueShape shape;

  shape_of_value(text, len, &shape);
  if (len < PASSWORD_MIN || len > PASSWORD_MAX || is_harmless(text, len) ||
      is_prose(text, len, &shape))
    return false;
  if (shape.letters == 0)
    return shape.digits >= PASSWORD_MIN && !place->call;
  if (is_known_password(text, len))
    return place->operator== '=' || place->operator== ':' || place->call;
  if (names_a_secret(text, len))
    return shape.digits >= 2 || (shape.digits > 0 && shape.others > 0);
  if (shape.digits > 0 && !value_is_technical(text, len))
    return shape.joints == 0 || shape.digits >= 2 ||
           shape.usual < shape.letters || shape.others > 0;
  if (shape.digits > 0)
    return false;
  if (shape.others > 0)
    return shape.usual < shape.letters || shape.joints == 0;
  return shape.usual * 2 < shape.letters && shape.longest >= 4;
}

bool
chosen_is_secret(const char *text, size_t len)
{
  const Place place = {.quoted = true, .call = true, .operator= '(' };

  return !is_known_password(text, len) && !value_is_sequence(text, len) &&
         is_quoted_password(text, len, &place);
}

/* The same without quotes: code looks much like that. */
static bool
is_plain_password(const char *text, size_t len, const Place *place)
{
  ValueShape shape;
  bool setting;

  shape_of_value(text, len, &shape);
  setting = place->line || place->joined ||
            (place->upper && place->tight &&
             place->operator== '=' && len >= 6 && shape.digits> 0 &&
             shape.letters >= 3) ||
            (len >= 7 && shape.digits >= 2 && shape.letters >= 3) ||
            (len >= 6 && shape.digits >= 1 && shape.others >= 1);
  if (!setting || len > PASSWORD_MAX ||
      strchr("([{<,;|&?!=+*:", text[0]) != NULL ||
      !is_quoted_password(text, len, place))
    return false;
  if (shape.digits == 0 && !place->line && !place->joined)
    return shape.usual * 2 < shape.letters;
  if (shape.digits == 0 && shape.usual == shape.letters && shape.others > 0 &&
      !place->upper)
    return memchr(text, '+', len) == NULL && memchr(text, '*', len) == NULL &&
           memchr(text, '|', len) == NULL;
  for (size_t i = 0; i + 1 < len; i++)
    if ((text[i] == '(' || text[i] == '[') && g_ascii_isalpha(text[0]) &&
        !place->upper)
      return false;
  if (place->tight || place->joined || shape.others > 0)
    return true;
  return shape.digits >= 2 || shape.usual < shape.letters ||
         shape.letters >= LONG_WORD;
}

/* ---- Tokens -------------------------------------------------------------- */

static bool
is_uuid(const char *text, size_t len)
{
  if (len != 36)
    return false;
  for (size_t i = 0; i < len; i++)
    if ((i == 8 || i == 13 || i == 18 || i == 23) ? text[i] != '-'
                                                  : !g_ascii_isxdigit(text[i]))
      return false;
  return true;
}

/* Letters in which a reader sees no words. */
static bool
is_random(const char *text, size_t len, const ValueShape *shape)
{
  const double bits = shannon_entropy(text, len);

  if (bits < (len >= TOKEN_LONG ? TOKEN_BITS_LONG : TOKEN_BITS) &&
      !is_uuid(text, len))
    return false;
  if (shape->digits == 0)
    return shape->usual * 2 < shape->letters && shape->longest >= 4 &&
           (len >= 12 || shape->others > 0);
  /* Random letters in short runs look usual now and then. */
  if (shape->joints > 0 && shape->usual * 4 >= shape->letters * 3)
    return shape->digits >= 6 && shape->digits * 3 >= len;
  return shape->digits >= 2 || shape->usual * 2 < shape->letters;
}

bool
token_is_secret(const char *text, size_t len)
{
  ValueShape shape;

  shape_of_value(text, len, &shape);
  return len >= TOKEN_MIN && shape.spaces == 0 && shape.letters > 0 &&
         !is_harmless(text, len) && !value_is_technical(text, len) &&
         !value_is_sequence(text, len) && is_random(text, len, &shape);
}

/* "secret" is what people call what they make up, too. */
static bool
is_quoted_secret(const char *text, size_t len, const Place *place)
{
  ValueShape shape;

  shape_of_value(text, len, &shape);
  if (token_is_secret(text, len))
    return true;
  return len >= 6 && shape.letters >= 3 && shape.joints == 0 &&
         (shape.digits >= 2 || (shape.digits > 0 && shape.others > 0)) &&
         is_quoted_password(text, len, place);
}

/* Settings only, and with digits: x.token = response.token is code. */
static bool
is_plain_token(const char *text, size_t len, const Place *place)
{
  ValueShape shape;

  shape_of_value(text, len, &shape);
  for (size_t i = 0; i < len; i++)
    if (strchr("()[]{}<>|;,\\", text[i]) != NULL)
      return false;
  if (!token_is_secret(text, len))
    return false;
  /* Letters alone are a name unless they are strewn, and in a setting. */
  if (shape.digits == 0)
    return place->line && len >= LETTERS_MIN && shape.usual == 0 &&
           shape.uppers > 0 && shape.lowers > 0;
  return place->line || place->joined ? len >= 10
                                      : len >= 20 && shape.digits >= 3;
}

/* ---- Places -------------------------------------------------------------- */

/* What may stand before a setting in its line. */
static bool
starts_line(const char *floor, const char *name)
{
  static const char *const lead[] = {
      "export", "set", "setenv", "env", "arg",      "declare", "-x", "local",
      "-",      "#",   "//",     ";",   "readonly", "*",       "$",  "ENV",
      "ARG",    "+",   "--",     ">",   "enable",   NULL};
  const char *start = name;
  bool found = true;

  while (start > floor && start[-1] != '\n' && start[-1] != '"')
    start--;
  while (found) {
    found = false;
    while (start < name && is_blank(*start))
      start++;
    for (unsigned i = 0; !found && lead[i] != NULL; i++) {
      const size_t n = strlen(lead[i]);

      found = (size_t)(name - start) >= n &&
              g_ascii_strncasecmp(start, lead[i], n) == 0;
      if (found)
        start += n;
    }
  }
  return start == name;
}

bool
setting_is_secret(const Value *value, size_t len)
{
  const char *name = value->opener;

  while (name > value->floor && is_name_byte(name[-1]))
    name--;
  /* Or a string that holds the line. */
  if (name > value->floor && (name[-1] == '"' || name[-1] == '\''))
    return chosen_is_secret(value->secret, len);
  return starts_line(value->floor, name) &&
         chosen_is_secret(value->secret, len);
}

/* Nothing, or a comment, follows in the line. */
static bool
ends_line(const char *after, const char *limit)
{
  while (after < limit && is_blank(*after))
    after++;
  return after >= limit || *after == '\n' || *after == '\r' || *after == '#' ||
         (after + 1 < limit && after[0] == '\\' && after[1] == 'n');
}

/* "a=b c=d": the next setting follows in the line. */
static bool
pair_follows(const char *after, const char *limit)
{
  const char *p = after;

  while (p < limit && is_blank(*p))
    p++;
  if (p == after)
    return false;
  while (p < limit && is_name_byte(*p))
    p++;
  return p < limit && *p == '=';
}

/* "a=b c=d", "set x a=b,c=d", 'c=d': a setting stands before this one, or this
 * one begins what stands in quotes. */
static bool
pair_precedes(const char *floor, const char *name)
{
  const char *p = name;

  if (p == floor || (!is_blank(p[-1]) && strchr(",='\"", p[-1]) == NULL))
    return false;
  if (p[-1] == '=' || p[-1] == '\'' || p[-1] == '"')
    return true;
  p--;
  while (p > floor && is_name_byte(p[-1]))
    p--;
  return p > floor && p[-1] == '=' && p + 1 < name;
}

/* The name that ends at or before `end`; *start is where it begins. */
static size_t
name_before(const Value *value, const char *end, const char **start)
{
  const char *p = end;
  const char *stop;
  const char *floor =
      end - value->floor > NAME_BACK ? end - NAME_BACK : value->floor;

  while (p > floor && !is_name_byte(p[-1]) && p[-1] != '\n')
    p--;
  stop = p;
  while (p > floor && is_name_byte(p[-1]) && stop - p < MAX_NAME)
    p--;
  *start = p;
  return (size_t)(stop - p);
}

static bool
is_word(const char *text, size_t len, const char *word)
{
  return strlen(word) == len && g_ascii_strncasecmp(text, word, len) == 0;
}

static bool
is_one_of(const char *text, size_t len, const char *const *words)
{
  for (unsigned i = 0; words[i] != NULL; i++)
    if (is_word(text, len, words[i]))
      return true;
  return false;
}

/* The word before the name that ends at *start, when a single blank stands
 * between them. */
static bool
word_before(const Value *value, const char *name, const char **start)
{
  if (name - value->floor < 2 || !is_blank(name[-1]) || !is_name_byte(name[-2]))
    return false;
  return name_before(value, name - 1, start) > 0;
}

/* "the password for the admin user" is about a password. */
static size_t
skip_owner(const Value *value, size_t len, const char **start)
{
  static const char *const links[] = {"for", "of", "to", NULL};
  const char *word = *start;
  const char *before;

  for (unsigned i = 0; i < 4 && word_before(value, word, &before); i++) {
    const size_t size = (size_t)(word - 1 - before);

    word = before;
    if (is_one_of(word, size, links) && word_before(value, word, &before)) {
      *start = before;
      return (size_t)(word - 1 - before);
    }
  }
  return len;
}

/* Steps over what the operator consists of, over "value" in pairs such as
 * name="password" value="x", and joins "api key". */
static size_t
find_name(const Value *value, const char **start, bool *stepped)
{
  static const char *const steps[] = {
      "value",        "default",   "default_value",
      "defaultvalue", "is",        "was",
      "be",           "will",      "equals",
      "to",           "set",       "as",
      "or",           "else",      "string",
      "android",      "content",   "android:value",
      "fill",         "type",      "sendkeys",
      "send_keys",    "setvalue",  ".fill",
      ".type",        ".sendkeys", ".send_keys",
      ".setvalue",    "get",       "init",
      "private",      NULL};
  static const char *const tails[] = {
      "key", "keys", "word", "phrase", "name", NULL};
  const char *end = value->opener;
  const char *before;
  size_t len = name_before(value, end, start);

  for (unsigned i = 0; i < 4 && len > 0 &&
                       (is_one_of(*start, len, steps) ||
                        (is_one_of(*start, len, tails) && (*start)[-1] == '/'));
       i++) {
    *stepped = true;
    end = *start;
    while (end > value->floor && (g_ascii_isspace(end[-1]) || end[-1] == ','))
      end--;
    len = name_before(value, end, start);
  }
  if ((is_blank(value->opener[-1]) && *stepped) ||
      (value->opener[-1] == ':' && name_kind(*start, len) == NAME_NONE)) {
    *stepped = true;
    len = skip_owner(value, len, start);
  }
  if (is_one_of(*start, len, tails) && word_before(value, *start, &before)) {
    len += (size_t)(*start - before);
    *start = before;
  }
  return len;
}

/* The name of the tag that closes with the operator, when it is one of a
 * secret; else the name is its last attribute's value. */
static bool
find_tag(const Value *value, const char **name, size_t *len)
{
  const char *tag = value->opener - 1;
  const char *end;

  while (tag > value->floor && tag[-1] != '<' &&
         (tag[-1] != '>' || tag == value->opener) && tag[-1] != '\n')
    tag--;
  if (tag == value->floor || tag[-1] != '<')
    return false;
  for (end = tag; end < value->opener && (is_name_byte(*end) || *end == ':');)
    end++;
  if (name_kind(tag, (size_t)(end - tag)) != NAME_NONE) {
    *name = tag;
    *len = (size_t)(end - tag);
  }
  return true;
}

/* q(x), qq{x}, %q[x], q|x|. */
static bool
is_perl_quote(const Value *value)
{
  const char *p = value->secret - 1;

  if (p <= value->opener || strchr("([{|!/", *p) == NULL)
    return false;
  if (is_blank(p[-1]))
    p--;
  return p > value->opener && strchr("qQw", p[-1]) != NULL;
}

static Place
place_of(const Value *value, const char *name, size_t name_len)
{
  const char *after = value->secret + value->len;
  const char before = value->secret[-1];
  Place place = {.operator= value->opener[-1] };
  bool lower = false;

  for (size_t i = 0; i < name_len; i++)
    lower = lower || g_ascii_islower(name[i]);
  place.upper = !lower;
  place.quoted = before == '"' || before == '\'' || before == '`' ||
                 place.operator== '>' || is_perl_quote(value);
  place.call = place.operator== '(' || place.operator== ',';
  place.fallback = name - value->floor >= 2 && memcmp(name - 2, "${", 2) == 0;
  place.tight = place.operator== ':' || !is_blank(before) || place.upper;
  place.joined = (name > value->floor && strchr("?&;", name[-1]) != NULL &&
                  !is_blank(before)) ||
                 (place.operator== '=' && pair_follows(after, value->limit)) ||
                 (place.operator== '=' && !is_blank(before) &&
                  pair_precedes(value->floor, name));
  place.line = place.fallback || name[0] == '-' ||
               (starts_line(value->floor, name) &&
                (ends_line(after, value->limit) ||
                 (place.upper && place.operator== '=' && !is_blank(before))));
  return place;
}

/* "&x=" of a query, ";Server=" of a connection string. */
static bool
name_then_equals(const char *p, const char *end)
{
  const char *from = p;

  while (p < end && (is_name_byte(*p) || is_blank(*p)))
    p++;
  return p > from && p < end && *p == '=';
}

/* Brackets that nothing in the value opened, and what ends a sentence, a
 * statement or an entry of a list. */
static bool
is_trailer(const Value *value, size_t len, const Place *place)
{
  static const char closers[] = ")}]";
  static const char openers[] = "({[";
  const char last = value->secret[len - 1];
  const char *closer = strchr(closers, last);

  if (closer != NULL)
    return memchr(value->secret, openers[closer - closers], len) == NULL;
  return last == ',' || last == ';' ||
         (is_blank(place->operator) && last == '.');
}

/* What the regex took without quotes may end earlier. */
static size_t
plain_len(const Value *value, const Place *place)
{
  size_t len = value->len;

  for (size_t i = 1; i < len; i++)
    if ((value->secret[i] == '&' || value->secret[i] == ';') &&
        name_then_equals(value->secret + i + 1, value->secret + len))
      len = i;
  while (len > 1 && is_trailer(value, len, place))
    len--;
  return len;
}

bool
assignment_is_secret(const Value *value, size_t *len, double *confidence)
{
  const char *name;
  bool stepped = false;
  size_t name_len = find_name(value, &name, &stepped);
  NameKind kind;
  Place place;
  bool secret = false;

  if (value->opener[-1] == '>' && !find_tag(value, &name, &name_len))
    return false;
  kind = name_kind(name, name_len);
  if (kind == NAME_NONE || value->secret <= value->floor)
    return false;
  place = place_of(value, name, name_len);
  place.line = place.line || stepped || is_blank(place.operator);
  if (!place.quoted)
    *len = plain_len(value, &place);
  if (kind == NAME_PASSWORD)
    secret = place.quoted ? is_quoted_password(value->secret, *len, &place)
                          : is_plain_password(value->secret, *len, &place);
  else if (kind == NAME_SECRET)
    secret = place.quoted ? is_quoted_secret(value->secret, *len, &place)
                          : is_plain_token(value->secret, *len, &place);
  else
    secret = place.quoted ? token_is_secret(value->secret, *len)
                          : is_plain_token(value->secret, *len, &place);
  *confidence = place.quoted ? 0.7 : 0.6;
  return secret;
}
