/* Bootstrap tokens "<id>.<secret>": their secrets bootstrap-token-<id> in kube-system are looked up in the watch cache.
 * Immutable: any thread. */
#include <string.h>

#include "auth/authn_internal.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "tls/tls.h"

#define SECRET_TYPE "bootstrap.kubernetes.io/token"
#define NAMESPACE "kube-system"
#define GROUP "system:bootstrappers"

enum { ID_LEN = 6, SECRET_LEN = 16, GROUP_MIN = 1, GROUP_MAX = 256 };

struct bootstrap {
        const struct kc_resources *resources;
        const struct kc_clock *clock;
        char *const *audiences;
};

/* [a-z0-9]{6}.[a-z0-9]{16} */
static bool has_form(const char *token)
{
        if (strlen(token) != ID_LEN + 1 + SECRET_LEN)
                return false;
        for (size_t i = 0; token[i]; i++) {
                bool is_char = (token[i] >= 'a' && token[i] <= 'z') || (token[i] >= '0' && token[i] <= '9');
                if (i == ID_LEN ? token[i] != '.' : !is_char)
                        return false;
        }
        return true;
}

/* system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9] */
static bool is_group(const char *group)
{
        if (!kc_str_has_prefix(group, GROUP ":"))
                return false;
        const char *rest = group + strlen(GROUP ":");
        size_t len = strlen(rest);
        static const char inside[] = "abcdefghijklmnopqrstuvwxyz0123456789:-";
        return len >= GROUP_MIN && len <= GROUP_MAX && strspn(rest, inside) == len && !strchr(":-", rest[len - 1]);
}

/* A value of the secret's data; "" when it is absent or no text. Heap, wiped by wipe. */
static char *value_of(const struct json_object *secret, const char *key)
{
        const char *encoded = kc_json_str(kc_json_get(secret, "data"), key);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!encoded || kc_base64_decode(encoded, strlen(encoded), &b) < 0 || memchr(kc_buf_str(&b), '\0', b.len))
                return kc_strdup("");
        return kc_buf_take_str(&b);
}

/* Why is told in the log only, as upstream. */
static bool refuse(const struct json_object *secret, const char *why)
{
        kc_log_v(3, "Bootstrap token is not good", "secret", kc_meta_name(secret), "reason", why);
        return false;
}

static bool has_expired(const struct bootstrap *b, const struct json_object *secret)
{
        KC_CLEANUP(kc_freep) char *text = value_of(secret, "expiration");
        kc_time at;
        if (text[0] == '\0')
                return false;
        return kc_time_parse(text, &at) < 0 || at <= kc_clock_now(b->clock);
}

static bool is_good(const struct bootstrap *b, const struct json_object *secret, const char *token)
{
        KC_CLEANUP(kc_free_secret_strp) char *want = value_of(secret, "token-secret");
        KC_CLEANUP(kc_freep) char *id = value_of(secret, "token-id");
        KC_CLEANUP(kc_freep) char *usage = value_of(secret, "usage-bootstrap-authentication");
        const char *given = token + ID_LEN + 1;
        if (kc_meta_deleting(secret))
                return refuse(secret, "is deleted and awaiting removal");
        if (!kc_streq(kc_json_str(secret, "type"), SECRET_TYPE))
                return refuse(secret, "has invalid type, expected " SECRET_TYPE);
        if (!kc_secret_equal(want, strlen(want), given, SECRET_LEN))
                return refuse(secret, "has invalid value for key token-secret");
        if (strlen(id) != ID_LEN || memcmp(id, token, ID_LEN) != 0)
                return refuse(secret, "has invalid value for key token-id");
        if (has_expired(b, secret))
                return refuse(secret, "has expired");
        if (strcmp(usage, "true") != 0)
                return refuse(secret, "not marked usage-bootstrap-authentication=true");
        return true;
}

/* NULL: a group has a name that these tokens may not give. */
static char **groups_of(const struct json_object *secret)
{
        KC_CLEANUP(kc_strv_freep) char **groups = NULL;
        KC_CLEANUP(kc_freep) char *text = value_of(secret, "auth-extra-groups");
        KC_CLEANUP(kc_strv_freep) char **extra = kc_strv_split(text, ',');
        kc_strv_push(&groups, GROUP);
        for (size_t i = 0; text[0] && extra[i]; i++) {
                if (!is_group(extra[i]))
                        return NULL;
                kc_strv_push(&groups, extra[i]);
        }
        kc_strv_sort_uniq(groups);
        return KC_TAKE(groups);
}

static int authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const struct bootstrap *b = self;
        if (!has_form(t->text))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(b->audiences, t->audiences);
        if (kc_strv_len(t->audiences) > 0 && kc_strv_len(both) == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("bootstrap-token-%.*s", ID_LEN, t->text);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = NULL;
        (void)err; /* like upstream: such a token is not good, or nobody's */
        if (kc_resources_get(b->resources, "", "secrets", NAMESPACE, name, &obj, NULL) < 0) {
                kc_log_v(3, "No secret to match bootstrap bearer token", "secret", name);
                return 0;
        }
        const struct json_object *secret = kc_object_json(obj);
        if (!is_good(b, secret, t->text))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **groups = groups_of(secret);
        if (!groups) {
                (void)refuse(secret, "has invalid value for key auth-extra-groups");
                return 0;
        }
        KC_CLEANUP(kc_freep) char *user = kc_asprintf("system:bootstrap:%.*s", ID_LEN, t->text);
        ret->user = kc_user_new(user, NULL, groups);
        ret->audiences = KC_TAKE(both);
        return 1;
}

void authn_bootstrap_new(const struct kc_authn_opts *o, char *const *audiences, struct authn_method *ret)
{
        struct bootstrap *b = KC_NEW(struct bootstrap);
        *b = (struct bootstrap){.resources = o->resources, .clock = o->clock, .audiences = audiences};
        *ret = (struct authn_method){.authenticate = authenticate, .free = kc_free, .self = b};
}
