/* Impersonation: Impersonate-User, -Group, -Uid and -Extra-* headers, each of which the user needs the verb
 * "impersonate" for. On the request's loop. */
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "server/server_internal.h"

#define EXTRA_PREFIX "impersonate-extra-"

struct wanted {
        const char *user, *uid;
        char **groups;
        struct kc_user_extra *extra; /* key and one value each */
        size_t n_extra;
};

static void wanted_done(struct wanted *w)
{
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

/* False: answered with 403. */
static bool may(struct api_req *q, const struct kc_authz_attrs *what)
{
        struct kc_authz_attrs attrs = *what;
        attrs.user = q->user;
        attrs.verb = "impersonate";
        attrs.resource_request = true;
        attrs.path = q->info.path;
        KC_CLEANUP(kc_freep) char *reason = NULL;
        if (kc_authz_authorize(q->server->authz, &attrs, &reason) == KC_ALLOW)
                return true;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_authz_forbidden(&err, &attrs, reason);
        api_reply_error(q, &err);
        return false;
}

static struct kc_authz_attrs attrs_of(
    const char *group, const char *resource, const char *subresource, const char *ns, const char *name)
{
        return (struct kc_authz_attrs){
            .group = group, .version = "v1", .resource = resource, .subresource = subresource, .ns = ns, .name = name};
}

static bool may_all(struct api_req *q, const struct wanted *w, const char *sa_ns, const char *sa_name)
{
        struct kc_authz_attrs a =
            sa_name ? attrs_of("", "serviceaccounts", "", sa_ns, sa_name) : attrs_of("", "users", "", "", w->user);
        bool ok = may(q, &a);
        for (size_t i = 0; ok && w->groups && w->groups[i]; i++) {
                a = attrs_of("", "groups", "", "", w->groups[i]);
                ok = may(q, &a);
        }
        for (size_t i = 0; ok && i < w->n_extra; i++) {
                a = attrs_of("authentication.k8s.io", "userextras", w->extra[i].key, "", w->extra[i].values[0]);
                ok = may(q, &a);
        }
        if (ok && !kc_str_empty(w->uid)) {
                a = attrs_of("authentication.k8s.io", "uids", "", "", w->uid);
                ok = may(q, &a);
        }
        return ok;
}

static struct kc_user *make_user(const struct wanted *w, const char *sa_ns)
{
        struct kc_user *u = kc_user_new(w->user, w->uid, w->groups);
        if (sa_ns && kc_strv_len(w->groups) == 0) {
                KC_CLEANUP(kc_freep) char *ns_group = kc_asprintf("%s:%s", KC_GROUP_SERVICEACCOUNTS, sa_ns);
                kc_user_add_group(u, KC_GROUP_SERVICEACCOUNTS);
                kc_user_add_group(u, ns_group);
        }
        const char *last = strcmp(w->user, KC_USER_ANONYMOUS) == 0 ? KC_GROUP_UNAUTHENTICATED : KC_GROUP_AUTHENTICATED;
        if (!kc_user_in_group(u, last))
                kc_user_add_group(u, last);
        for (size_t i = 0; i < w->n_extra; i++)
                kc_user_add_extra(u, w->extra[i].key, w->extra[i].values[0]);
        return u;
}

enum stage_result stage_impersonate(struct api_req *q)
{
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
        KC_CLEANUP(kc_freep) char *sa_ns = NULL;
        KC_CLEANUP(kc_freep) char *sa_name = NULL;
        (void)kc_serviceaccount_split(w.user, &sa_ns, &sa_name); /* else an ordinary user */
        if (!may_all(q, &w, sa_ns, sa_name))
                return STAGE_ANSWERED;
        struct kc_user *impersonated = make_user(&w, sa_ns);
        kc_user_unref(q->user);
        q->user = impersonated;
        kc_audit_record_impersonated(q->audit, impersonated);
        return STAGE_NEXT;
}
