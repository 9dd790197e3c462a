/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in over the control interface: sessions, logins that their callers
 * watch, and what the sessions tell by themselves. All on the main thread. */
#include "daemon/private.h"
#include "kit/json.h"
#include "kit/log.h"

/* A sign-in whose caller's connection closes is cancelled. */
typedef struct {
  struct agent *agent;
  GDBusConnection *connection;
  gulong closed;
  char *id;
  Login *login;
  LoginSpec spec; /* with strings of its own */
  bool automatic; /* the browser when there is no device flow */
  bool prompted;
  char *fallback; /* why it is the browser, or NULL */
} Signin;

/* ---- What is told -----------------------------------------------------------
 */

static void
add_text(GVariantDict *dict, const char *key, const char *text)
{
  if (text)
    g_variant_dict_insert(dict, key, "s", text);
}

static void
add_person(GVariantDict *dict, const Person *person)
{
  add_text(dict, "user", person->user);
  add_text(dict, "subject", person->subject);
  g_variant_dict_insert(dict, "expires_us", "x", (gint64)person->expires_us);
  if (person->groups)
    g_variant_dict_insert(dict, "groups", "^as", person->groups);
  else
    add_text(dict,
             "groups_unknown",
             person->groups_unknown ? person->groups_unknown
                                    : "the provider names no groups");
}

static GVariant *
session_variant(const SessionInfo *session)
{
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  add_text(&dict, "name", session->name);
  add_text(&dict, "issuer", session->issuer);
  add_text(&dict, "storage", session->storage);
  add_text(&dict, "problem", session->problem);
  g_variant_dict_insert(&dict, "machine", "b", session->machine);
  g_variant_dict_insert(&dict, "signing_in", "b", session->signing_in);
  g_variant_dict_insert(&dict, "renewed_us", "x", (gint64)session->renewed_us);
  g_variant_dict_insert(&dict, "expires_us", "x", (gint64)0);
  if (session->person)
    add_person(&dict, session->person);
  return g_variant_dict_end(&dict);
}

GVariant *
signin_sessions(struct agent *agent)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (unsigned i = 0; i < identity_count(agent->identity); i++) {
    SessionInfo session = identity_session(agent->identity, i);

    g_variant_builder_add_value(&list, session_variant(&session));
  }
  return g_variant_builder_end(&list);
}

static gboolean
on_sessions(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  hoop_agent1_complete_sessions(skeleton, call, signin_sessions(data));
  return TRUE;
}

static const char *
result_name(const GError *error)
{
  static const char *const names[] = {
      [IDENTITY_ERROR_SIGNED_OUT] = "not-signed-in",
      [IDENTITY_ERROR_CONFIG] = "config",
      [IDENTITY_ERROR_UNREACHABLE] = "unreachable",
      [IDENTITY_ERROR_PROTOCOL] = "protocol",
      [IDENTITY_ERROR_DENIED] = "denied",
      [IDENTITY_ERROR_EXPIRED] = "expired",
      [IDENTITY_ERROR_TOKEN] = "token",
      [IDENTITY_ERROR_LOCKED] = "locked",
      [IDENTITY_ERROR_STORE] = "store",
      [IDENTITY_ERROR_BUSY] = "provider",
      [IDENTITY_ERROR_CANCELLED] = "provider",
      [IDENTITY_ERROR_PROVIDER] = "provider",
  };

  if (error->domain != IDENTITY_ERROR || error->code < 0 ||
      (size_t)error->code >= G_N_ELEMENTS(names))
    return "provider";
  return names[error->code];
}

/* To the one who asked, and to nobody else. */
static void
tell(const Signin *signin, const char *signal, GVariant *parameters)
{
  g_dbus_connection_emit_signal(signin->connection,
                                NULL,
                                BUS_OBJECT_PATH,
                                "io.hoop.Agent1",
                                signal,
                                parameters,
                                NULL);
}

/* ---- A sign-in --------------------------------------------------------------
 */

static void
signin_free(void *data)
{
  Signin *signin = data;

  if (signin->login)
    login_cancel(signin->login);
  g_signal_handler_disconnect(signin->connection, signin->closed);
  g_object_unref(signin->connection);
  g_free((char *)signin->spec.issuer);
  g_free((char *)signin->spec.token_file);
  g_free(signin->fallback);
  g_free(signin->id);
  g_free(signin);
}

static void
prompt(const LoginPrompt *prompt, void *data)
{
  Signin *signin = data;
  GVariantDict dict;

  signin->prompted = true;
  g_variant_dict_init(&dict, NULL);
  add_text(&dict, "issuer", prompt->issuer);
  add_text(&dict, "url", prompt->url);
  add_text(&dict, "url_whole", prompt->url_whole);
  add_text(&dict, "user_code", prompt->user_code);
  add_text(&dict,
           "method",
           signin->spec.method == LOGIN_BROWSER ? "browser" : "device");
  add_text(&dict, "fallback", signin->fallback);
  g_variant_dict_insert(&dict, "expires_us", "x", (gint64)prompt->expires_us);
  tell(signin,
       "LoginPrompt",
       g_variant_new("(s@a{sv})", signin->id, g_variant_dict_end(&dict)));
}

static void done(const Person *person,
                 const char *notice,
                 const GError *error,
                 void *data);

static const LoginEvents events = {.prompt = prompt, .done = done};

/* The provider has no device flow, where none was asked for by name. */
static bool
fall_back(Signin *signin, const GError *error)
{
  if (!signin->automatic || signin->prompted ||
      signin->spec.method != LOGIN_DEVICE ||
      !g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_PROVIDER))
    return false;
  signin->spec.method = LOGIN_BROWSER;
  signin->fallback = g_strdup(error->message);
  signin->login = identity_login(
      signin->agent->identity, &signin->spec, &events, signin, NULL);
  return signin->login != NULL;
}

static GVariant *
session_of(struct agent *agent, const Person *person)
{
  GVariantDict dict;

  for (unsigned i = 0; i < identity_count(agent->identity); i++) {
    SessionInfo session = identity_session(agent->identity, i);

    if (g_str_equal(session.issuer, person->issuer))
      return session_variant(&session);
  }
  g_variant_dict_init(&dict, NULL);
  add_person(&dict, person);
  return g_variant_dict_end(&dict);
}

static void
done(const Person *person, const char *notice, const GError *error, void *data)
{
  Signin *signin = data;
  GVariantDict none;
  const char *message = notice ? notice : "";

  signin->login = NULL;
  if (error && fall_back(signin, error))
    return;
  if (error)
    message = error->message;
  g_variant_dict_init(&none, NULL);
  tell(signin,
       "LoginDone",
       g_variant_new("(sss@a{sv})",
                     signin->id,
                     error ? result_name(error) : "signed-in",
                     message,
                     person ? session_of(signin->agent, person)
                            : g_variant_dict_end(&none)));
  g_ptr_array_remove(signin->agent->signins, signin);
}

static void
caller_left(GDBusConnection *connection,
            gboolean remote,
            GError *error,
            gpointer data)
{
  Signin *signin = data;

  (void)connection;
  (void)remote;
  (void)error;
  g_ptr_array_remove(signin->agent->signins, signin);
}

static bool
method_from(const char *name, LoginMethod *out, bool *automatic)
{
  static const struct {
    const char *name;
    LoginMethod method;
  } methods[] = {
      {"", LOGIN_DEVICE},
      {"device", LOGIN_DEVICE},
      {"browser", LOGIN_BROWSER},
      {"client-credentials", LOGIN_CLIENT_CREDENTIALS},
      {"token-file", LOGIN_TOKEN_FILE},
  };

  *automatic = !*name;
  for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++)
    if (g_str_equal(methods[i].name, name)) {
      *out = methods[i].method;
      return true;
    }
  return false;
}

/* NULL, or why these cannot be asked for. */
static const char *
read_options(Signin *signin, const char *method, GVariant *options)
{
  gboolean insecure = FALSE;
  char *file = NULL;

  g_variant_lookup(options, "insecure_storage", "b", &insecure);
  g_variant_lookup(options, "token_file", "s", &file);
  signin->spec.insecure_storage = insecure;
  signin->spec.token_file = file;
  if (!method_from(method, &signin->spec.method, &signin->automatic))
    return "the method is device, browser, client-credentials or token-file";
  if (signin->spec.method == LOGIN_TOKEN_FILE && (!file || *file != '/'))
    return "a token file is named by its absolute path";
  return NULL;
}

static void
fail_login(GDBusMethodInvocation *call, const GError *error)
{
  g_dbus_method_invocation_return_error(
      call,
      BUS_ERROR,
      g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_BUSY)
          ? BUS_ERROR_REFUSED
          : BUS_ERROR_INVALID,
      "%s",
      error->message);
}

static const char solo_sentence[] =
    "Nobody needs to sign in here: no [identity \"NAME\"] is configured "
    "(hoop-agent.conf(5)), so the local account is the user.";

static gboolean
on_login(HoopAgent1 *skeleton,
         GDBusMethodInvocation *call,
         const char *issuer,
         const char *method,
         GVariant *options,
         gpointer data)
{
  struct agent *agent = data;
  Signin *signin = g_new0(Signin, 1);
  g_autoptr(GError) error = NULL;
  const char *wrong;

  signin->agent = agent;
  signin->connection =
      g_object_ref(g_dbus_method_invocation_get_connection(call));
  signin->closed = g_signal_connect(
      signin->connection, "closed", G_CALLBACK(caller_left), signin);
  signin->id = journal_new_id();
  signin->spec.issuer = *issuer ? g_strdup(issuer) : NULL;
  wrong = read_options(signin, method, options);
  if (!agent->config->identities->len)
    wrong = solo_sentence;
  if (!wrong)
    signin->login =
        identity_login(agent->identity, &signin->spec, &events, signin, &error);
  if (!signin->login) {
    if (wrong)
      g_dbus_method_invocation_return_error_literal(
          call, BUS_ERROR, BUS_ERROR_INVALID, wrong);
    else
      fail_login(call, error);
    signin_free(signin);
    return TRUE;
  }
  g_ptr_array_add(agent->signins, signin);
  hoop_agent1_complete_login(skeleton, call, signin->id);
  return TRUE;
}

static gboolean
on_cancel_login(HoopAgent1 *skeleton,
                GDBusMethodInvocation *call,
                const char *id,
                gpointer data)
{
  struct agent *agent = data;

  for (unsigned i = 0; i < agent->signins->len; i++) {
    const Signin *signin = agent->signins->pdata[i];

    if (g_str_equal(signin->id, id) &&
        signin->connection == g_dbus_method_invocation_get_connection(call)) {
      g_ptr_array_remove_index(agent->signins, i);
      hoop_agent1_complete_cancel_login(skeleton, call);
      return TRUE;
    }
  }
  g_dbus_method_invocation_return_error(
      call, BUS_ERROR, BUS_ERROR_NOT_FOUND, "no sign-in %s is under way", id);
  return TRUE;
}

/* ---- Signing out ------------------------------------------------------------
 */

typedef struct {
  HoopAgent1 *skeleton;
  GDBusMethodInvocation *call;
} Logout;

static void
signed_out(const GError *error, void *data)
{
  Logout *logout = data;

  hoop_agent1_complete_logout(logout->skeleton,
                              logout->call,
                              error ? result_name(error) : "signed-out",
                              error ? error->message : "");
  g_object_unref(logout->skeleton);
  g_free(logout);
}

static gboolean
on_logout(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *issuer,
          gpointer data)
{
  struct agent *agent = data;
  Logout *logout;

  if (!agent->config->identities->len) {
    g_dbus_method_invocation_return_error_literal(
        call, BUS_ERROR, BUS_ERROR_INVALID, solo_sentence);
    return TRUE;
  }
  logout = g_new0(Logout, 1);
  logout->skeleton = g_object_ref(skeleton);
  logout->call = call;
  identity_logout(agent->identity, *issuer ? issuer : NULL, signed_out, logout);
  return TRUE;
}

/* ---- What the sessions tell by themselves -----------------------------------
 */

static void
changed(const char *issuer,
        IdentityEvent event,
        const char *sentence,
        void *data)
{
  static const char *const verdicts[] = {
      [IDENTITY_SIGNED_IN] = "signed-in",
      [IDENTITY_SIGNED_OUT] = "signed-out",
      [IDENTITY_REVOKED] = "revoked",
      [IDENTITY_RENEWED] = "renewed",
      [IDENTITY_RENEWAL_FAILED] = "renewal-failed",
  };
  struct agent *agent = data;
  g_autoptr(PersonRef) person = identity_current(agent->identity, issuer, NULL);
  g_autoptr(GString) detail = g_string_new("{\"issuer\":\"");

  json_escape(detail, issuer, -1);
  g_string_append(detail, "\",\"message\":\"");
  json_escape(detail, sentence, -1);
  g_string_append(detail, "\"}");
  if (event == IDENTITY_REVOKED || event == IDENTITY_RENEWAL_FAILED)
    log_warning("%s", sentence);
  else
    log_info("%s", sentence);
  record_signin(agent, person, issuer, verdicts[event], detail->str);
  if (agent->relay)
    relay_people_changed(agent->relay);
  shipping_session(agent, event);
  if (agent->skeleton)
    hoop_agent1_emit_state_changed(agent->skeleton);
}

void
signin_start(struct agent *agent)
{
  HoopAgent1 *skeleton = agent->skeleton;

  agent->signins = g_ptr_array_new_with_free_func(signin_free);
  g_signal_connect(skeleton, "handle-sessions", G_CALLBACK(on_sessions), agent);
  g_signal_connect(skeleton, "handle-login", G_CALLBACK(on_login), agent);
  g_signal_connect(
      skeleton, "handle-cancel-login", G_CALLBACK(on_cancel_login), agent);
  g_signal_connect(skeleton, "handle-logout", G_CALLBACK(on_logout), agent);
  if (agent->config->identities->len)
    identity_watch(agent->identity, changed, agent);
}

void
signin_stop(struct agent *agent)
{
  g_clear_pointer(&agent->signins, g_ptr_array_unref);
}
