/* Impersonation: Impersonate-User, -Group, -Uid and -Extra-* headers, each of which the user needs the verb
 * "impersonate" for. On the request's loop, but for what a webhook has to be asked about. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "server/server_internal.h"

#define EXTRA_PREFIX "impersonate-extra-"

struct wanted {
        const char *user, *uid;
        char *sa_ns, *sa_name; /* when the user is a service account */
        char **groups;
        struct kc_user_extra *extra; /* key and one value each */
        size_t n_extra;
};

static void wanted_done(struct wanted *w)
{
        kc_free(w->sa_ns);
        kc_free(w->sa_name);
        kc_strv_free(w->groups);
        for (size_t i = 0; i < w->n_extra; i++) {
                kc_free(w->extra[i].key);
                kc_strv_free(w->extra[i].values);
        }
        kc_free(w->extra);
}

static void add_extra(struct wanted *w, const char *escaped_key, const char *value)
{
        char *key = NULL;
        if (kc_url_unescape(escaped_key, strlen(escaped_key), false, &key) < 0)
                key = kc_strdup(escaped_key);
        w->extra = kc_reallocarray(w->extra, w->n_extra + 1, sizeof(*w->extra));
        w->extra[w->n_extra] = (struct kc_user_extra){.key = key};
        kc_strv_push(&w->extra[w->n_extra++].values, value);
}

static void read_headers(const struct api_req *q, struct wanted *ret)
{
        const char *name, *value;
        *ret = (struct wanted){.user = kc_http_req_header(q->http, "Impersonate-User"),
            .uid = kc_http_req_header(q->http, "Impersonate-Uid")};
        for (size_t i = 0; kc_http_req_header_at(q->http, i, &name, &value); i++) {
                if (strcmp(name, "impersonate-group") == 0)
                        kc_strv_push(&ret->groups, value);
                else if (kc_str_has_prefix(name, EXTRA_PREFIX))
                        add_extra(ret, name + strlen(EXTRA_PREFIX), value);
        }
}

/* 0; -EACCES: err is the 403; -EWOULDBLOCK: only with may_wait, and on a thread that may. */
static int may(const struct api_req *q, const struct kc_authz_attrs *what, bool may_wait, struct kc_error *err)
{
        struct kc_authz_attrs attrs = *what;
        attrs.user = q->user;
        attrs.verb = "impersonate";
        attrs.resource_request = true;
        attrs.path = q->info.path;
        enum kc_decision d = KC_NO_OPINION;
        KC_CLEANUP(kc_freep) char *reason = NULL;
        if (may_wait)
                d = kc_authz_authorize(q->server->authz, &attrs, &reason);
        else if (!kc_authz_try(q->server->authz, &attrs, &d, &reason))
                return -EWOULDBLOCK;
        return d == KC_ALLOW ? 0 : kc_authz_forbidden(err, &attrs, reason);
}

static struct kc_authz_attrs attrs_of(
    const char *group, const char *resource, const char *subresource, const char *ns, const char *name)
{
        return (struct kc_authz_attrs){
            .group = group, .version = "v1", .resource = resource, .subresource = subresource, .ns = ns, .name = name};
}

static int may_all(const struct api_req *q, const struct wanted *w, bool may_wait, struct kc_error *err)
{
        struct kc_authz_attrs a = w->sa_name ? attrs_of("", "serviceaccounts", "", w->sa_ns, w->sa_name)
                                             : attrs_of("", "users", "", "", w->user);
        int r = may(q, &a, may_wait, err);
        for (size_t i = 0; r == 0 && w->groups && w->groups[i]; i++) {
                a = attrs_of("", "groups", "", "", w->groups[i]);
                r = may(q, &a, may_wait, err);
        }
        for (size_t i = 0; r == 0 && i < w->n_extra; i++) {
                a = attrs_of("authentication.k8s.io", "userextras", w->extra[i].key, "", w->extra[i].values[0]);
                r = may(q, &a, may_wait, err);
        }
        if (r == 0 && !kc_str_empty(w->uid)) {
                a = attrs_of("authentication.k8s.io", "uids", "", "", w->uid);
                r = may(q, &a, may_wait, err);
        }
        return r;
}

static struct kc_user *make_user(const struct wanted *w)
{
        struct kc_user *u = kc_user_new(w->user, w->uid, w->groups);
        if (w->sa_ns && kc_strv_len(w->groups) == 0) {
                KC_CLEANUP(kc_freep) char *ns_group = kc_asprintf("%s:%s", KC_GROUP_SERVICEACCOUNTS, w->sa_ns);
                kc_user_add_group(u, KC_GROUP_SERVICEACCOUNTS);
                kc_user_add_group(u, ns_group);
        }
        bool anonymous = strcmp(w->user, KC_USER_ANONYMOUS) == 0;
        /* Who asks for a user that is not authenticated gets none that is. */
        if (!kc_user_in_group(u, KC_GROUP_UNAUTHENTICATED) &&
            (anonymous || !kc_user_in_group(u, KC_GROUP_AUTHENTICATED)))
                kc_user_add_group(u, anonymous ? KC_GROUP_UNAUTHENTICATED : KC_GROUP_AUTHENTICATED);
        for (size_t i = 0; i < w->n_extra; i++)
                kc_user_add_extra(u, w->extra[i].key, w->extra[i].values[0]);
        return u;
}

static enum stage_result settle(struct api_req *q, const struct wanted *w, int r, const struct kc_error *err)
{
        if (r < 0) {
                api_reply_error(q, err);
                return STAGE_ANSWERED;
        }
        struct kc_user *impersonated = make_user(w);
        kc_user_unref(q->user);
        q->user = impersonated;
        kc_audit_record_impersonated(q->audit, impersonated);
        return STAGE_NEXT;
}

/* --- aside: when a webhook has to be asked */

struct question {
        const struct api_req *q;
        struct wanted wanted; /* user and uid are the request's */
        int r;
        struct kc_error err;
};

static void work(void *arg)
{
        struct question *n = arg;
        n->r = may_all(n->q, &n->wanted, true, &n->err);
}

static enum stage_result work_done(struct api_req *q, void *arg)
{
        struct question *n = arg;
        return settle(q, &n->wanted, n->r, &n->err);
}

static void question_free(void *arg)
{
        struct question *n = arg;
        wanted_done(&n->wanted);
        kc_error_done(&n->err);
        kc_free(n);
}

enum stage_result stage_impersonate(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(wanted_done) struct wanted w;
        read_headers(q, &w);
        if (kc_str_empty(w.user)) {
                if (kc_strv_len(w.groups) == 0 && w.n_extra == 0 && kc_str_empty(w.uid))
                        return STAGE_NEXT;
                KC_CLEANUP(kc_freep)
                char *text =
                    kc_asprintf("Internal Server Error: \"%s\": requested impersonation without impersonating a user\n",
                        q->info.path);
                api_reply_text(q, 500, text);
                return STAGE_ANSWERED;
        }
        (void)kc_serviceaccount_split(w.user, &w.sa_ns, &w.sa_name); /* else an ordinary user */
        int r = may_all(q, &w, false, &err);
        if (r != -EWOULDBLOCK)
                return settle(q, &w, r, &err);
        struct question *n = KC_NEW(struct question);
        *n = (struct question){.q = q, .wanted = w, .err = KC_ERROR_INIT};
        w = (struct wanted){0};
        return stage_aside(q, q->server->authz_pool, &(struct stage_work){work, work_done, question_free, n});
}
