/* Secrets of legacy service-account tokens say when they were last used. Authenticators of any thread tell of a use; a
 * worker writes it, once a day for each secret. */
#include <errno.h>

#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

#define LAST_USED "kubernetes.io/legacy-token-last-used"

struct use {
        struct kc_apiserver *server;
        char *ns, *secret, *uid, *today;
};

static int set_label(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        const struct use *u = arg;
        (void)c;
        (void)err; /* cannot fail */
        if (kc_streq(kc_meta_label(kc_object_json(current), LAST_USED), u->today))
                return -EALREADY;
        *ret = kc_object_copy_json(current);
        kc_meta_set_label(*ret, LAST_USED, u->today);
        return 0;
}

static void use_free(struct use *u)
{
        kc_free(u->ns);
        kc_free(u->secret);
        kc_free(u->uid);
        kc_free(u->today);
        kc_free(u);
}

static void write_use(void *arg)
{
        struct use *u = arg;
        struct kc_registry_ctx c;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        kc_registry_ctx_init(&c, u->server->registry, "", "secrets", u->ns, u->secret, NULL, false, NULL);
        const struct kc_registry_update_opts o = {.transform = set_label, .arg = u, .uid = u->uid};
        if (kc_registry_update(&c, &o, NULL, NULL, &err) < 0)
                kc_log_error(&err, "Failed to update the last use of a legacy token, ignoring", "ns", u->ns, "secret",
                    u->secret);
        use_free(u);
}

void legacy_token_used(const char *ns, const char *secret, const char *uid, const char *today, void *server)
{
        struct use *u = KC_NEW(struct use);
        *u = (struct use){.server = server,
            .ns = kc_strdup(ns),
            .secret = kc_strdup(secret),
            .uid = kc_strdup(uid),
            .today = kc_strdup(today)};
        if (u->server->pool && kc_pool_submit(u->server->pool, write_use, u) == 0)
                return;
        use_free(u); /* its next use, after it has been forgotten, is told again */
}
