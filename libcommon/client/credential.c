/* Credentials of requests, with reloaded token files and exec plugins (client.authentication.k8s.io). Any thread. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/secret.h"
#include "base/str.h"
#include "client/rest_internal.h"
#include "json/secret.h"

enum { TOKEN_MAX = 64 << 10, PLUGIN_TIMEOUT_MS = 60000, PLUGIN_OUTPUT_MAX = 1 << 20 };
#define TOKEN_FILE_PERIOD (60 * KC_SEC)

struct kc_credential {
        char *basic; /* base64 of "user:password" */
        char *token_file;
        struct json_object *exec;
        struct kc_token_source source; /* fetch NULL: none */
        char *cluster_server;
        char *cert_pem, *key_pem; /* of the plugin's first answer */
        pthread_mutex_t lock;
        /* guarded by lock: */
        char *token;
        kc_mono token_read; /* of the file */
        kc_time expires;    /* of the plugin's token; 0: never */
        kc_mono use_until;  /* of the source's token; 0: for ever */
};

extern char **environ;

/* --- credential plugins */

static char **plugin_env(const struct kc_credential *c)
{
        char **env = kc_strv_copy(environ);
        const struct json_object *more = kc_json_get(c->exec, "env");
        for (size_t i = 0; i < kc_json_len(more); i++) {
                const struct json_object *e = kc_json_idx(more, i);
                const char *name = kc_json_str(e, "name"), *value = kc_json_str(e, "value");
                if (name)
                        kc_strv_pushf(&env, "%s=%s", name, value ? value : "");
        }
        const char *version = kc_json_str(c->exec, "apiVersion");
        KC_CLEANUP(kc_json_freep)
        struct json_object *info = kc_json_build("{'kind':'ExecCredential','apiVersion':%s,'spec':{'interactive':%b}}",
            version ? version : "client.authentication.k8s.io/v1", false);
        if (kc_json_bool(c->exec, "provideClusterInfo", false))
                kc_json_set_str(kc_json_ensure_obj(info, "spec.cluster"), "server", c->cluster_server);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(info);
        kc_strv_pushf(&env, "KUBERNETES_EXEC_INFO=%s", text);
        return env;
}

static int run_plugin(const struct kc_credential *c, struct json_object **ret, struct kc_error *err)
{
        const char *command = kc_json_str(c->exec, "command");
        if (kc_str_empty(command))
                return kc_error_set(err, EINVAL, "exec plugin: command must be specified");
        KC_CLEANUP(kc_strv_freep) char **argv = NULL;
        kc_strv_push(&argv, command);
        const struct json_object *args = kc_json_get(c->exec, "args");
        for (size_t i = 0; i < kc_json_len(args); i++)
                if (kc_json_as_str(kc_json_idx(args, i)))
                        kc_strv_push(&argv, kc_json_as_str(kc_json_idx(args, i)));
        KC_CLEANUP(kc_strv_freep) char **env = plugin_env(c);
        struct kc_proc_opts opts = {.timeout_ms = PLUGIN_TIMEOUT_MS, .max_output = PLUGIN_OUTPUT_MAX, .env = env};
        KC_CLEANUP(kc_buf_wipe) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf complaint = KC_BUF_INIT;
        int status = 0;
        int r = kc_proc_run(argv, &opts, &status, &out, &complaint, err);
        if (r < 0)
                return kc_error_wrap(err, "exec: executable %s", command);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return kc_error_set(err, EACCES, "exec: executable %s failed with exit code %d: %s", command,
                    WIFEXITED(status) ? WEXITSTATUS(status) : -1, kc_buf_str(&complaint));
        r = kc_json_parse(kc_buf_str(&out), out.len, NULL, ret, err);
        return r < 0 ? kc_error_wrap(err, "decoding stdout of %s", command) : 0;
}

/* Under the lock, or before anyone else has c. */
static int refresh_plugin(struct kc_credential *c, struct kc_error *err)
{
        KC_CLEANUP(kc_json_free_secretp) struct json_object *answer = NULL;
        int r = run_plugin(c, &answer, err);
        if (r < 0)
                return r;
        const struct json_object *status = kc_json_get(answer, "status");
        const char *token = kc_json_str(status, "token"), *cert = kc_json_str(status, "clientCertificateData");
        const char *key = kc_json_str(status, "clientKeyData"), *expires = kc_json_str(status, "expirationTimestamp");
        if (!token && !(cert && key))
                return kc_error_set(err, EINVAL, "exec plugin didn't return a token or cert/key pair");
        kc_free_secret_str(c->token);
        c->token = kc_strdup(token);
        if (!c->cert_pem) {
                kc_str_set(&c->cert_pem, cert);
                kc_str_set(&c->key_pem, key);
        }
        c->expires = 0;
        if (expires && kc_time_parse(expires, &c->expires) < 0)
                c->expires = 0;
        return 0;
}

/* --- token files */

/* Under the lock. A file that cannot be read leaves the old token in use. */
static void refresh_file(struct kc_credential *c)
{
        kc_mono now = kc_clock_mono(NULL);
        if (c->token && now - c->token_read < TOKEN_FILE_PERIOD)
                return;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_wipe) struct kc_buf text = KC_BUF_INIT;
        if (kc_file_read(c->token_file, TOKEN_MAX, &text, &err) < 0) {
                kc_log_error(&err, "Cannot read the token file, ignoring", "file", c->token_file);
        } else {
                kc_free_secret_str(c->token);
                c->token = kc_str_trim(kc_buf_str(&text));
                c->token_read = now;
        }
        kc_error_done(&err);
}

int kc_credential_new(const struct kc_client_config *config, struct kc_credential **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_credential_freep) struct kc_credential *c = KC_NEW(struct kc_credential);
        pthread_mutex_init(&c->lock, NULL);
        c->token = kc_strdup(config->token);
        c->token_file = kc_strdup(config->token_file);
        c->cluster_server = kc_strdup(config->server);
        if (config->username) {
                KC_CLEANUP(kc_free_secret_strp)
                char *pair = kc_asprintf("%s:%s", config->username, config->password ? config->password : "");
                c->basic = kc_base64_encode(pair, strlen(pair));
        }
        if (config->exec) {
                c->exec = kc_json_copy(config->exec);
                int r = refresh_plugin(c, err);
                if (r < 0)
                        return kc_error_wrap(err, "getting credentials");
        }
        *ret = KC_TAKE(c);
        return 0;
}

struct kc_credential *kc_credential_new_source(const struct kc_token_source *take_source)
{
        struct kc_credential *c = KC_NEW(struct kc_credential);
        pthread_mutex_init(&c->lock, NULL);
        c->source = *take_source;
        return c;
}

int kc_credential_prepare(struct kc_credential *c, struct kc_error *err)
{
        if (!c->source.fetch)
                return 0;
        int r = 0;
        pthread_mutex_lock(&c->lock);
        if (!c->token || (c->use_until && kc_clock_mono(NULL) >= c->use_until)) {
                char *token = NULL;
                int64_t lifetime = 0;
                r = c->source.fetch(c->source.arg, &token, &lifetime, err);
                if (r == 0) {
                        kc_free_secret_str(c->token);
                        c->token = token;
                        c->use_until = lifetime ? kc_clock_mono(NULL) + lifetime : 0;
                }
        }
        pthread_mutex_unlock(&c->lock);
        return r;
}

void kc_credential_free(struct kc_credential *c)
{
        if (!c)
                return;
        if (c->source.free)
                c->source.free(c->source.arg);
        pthread_mutex_destroy(&c->lock);
        kc_free_secret_str(c->token);
        kc_free_secret_str(c->key_pem);
        kc_free_secret_str(c->basic);
        kc_free(c->token_file);
        kc_free(c->cluster_server);
        kc_free(c->cert_pem);
        kc_json_free(c->exec);
        kc_free(c);
}

char *kc_credential_header(struct kc_credential *c, bool may_block)
{
        pthread_mutex_lock(&c->lock);
        if (c->token_file) {
                refresh_file(c);
        } else if (c->exec && may_block && c->expires && c->expires <= kc_clock_now(NULL)) {
                struct kc_error err = KC_ERROR_INIT;
                if (refresh_plugin(c, &err) < 0)
                        kc_log_error(&err, "Credential plugin failed, ignoring");
                kc_error_done(&err);
        }
        char *header = NULL;
        if (!kc_str_empty(c->token))
                header = kc_asprintf("Bearer %s", c->token);
        else if (c->basic)
                header = kc_asprintf("Basic %s", c->basic);
        pthread_mutex_unlock(&c->lock);
        return header;
}

bool kc_credential_rejected(struct kc_credential *c)
{
        if (c->source.fetch) {
                pthread_mutex_lock(&c->lock);
                kc_free_secret_str(KC_TAKE(c->token));
                pthread_mutex_unlock(&c->lock);
                return true;
        }
        if (!c->exec)
                return false;
        struct kc_error err = KC_ERROR_INIT;
        pthread_mutex_lock(&c->lock);
        bool ok = refresh_plugin(c, &err) == 0;
        pthread_mutex_unlock(&c->lock);
        if (!ok)
                kc_log_error(&err, "Credential plugin failed, ignoring");
        kc_error_done(&err);
        return ok;
}

const char *kc_credential_cert_pem(const struct kc_credential *c)
{
        return c->cert_pem;
}

const char *kc_credential_key_pem(const struct kc_credential *c)
{
        return c->key_pem;
}
