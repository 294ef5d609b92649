/* The chain of authorizers and its indexes. Loop: the watches; any thread: the questions. */
#include "auth/authz.h"

#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "auth/authz_chain.h"
#include "auth/authz_internal.h"
#include "auth/rbac.h"
#include "base/str.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

enum { MAX_FEEDS = 8 };

struct feed {
        struct kc_authz *authz;
        const char *resource;
        /* Into its index; obj NULL: it is gone. Under the write lock. */
        void (*set)(struct kc_authz *a, const char *resource, const char *key, const struct json_object *obj);
        struct authz_feed *feed;
        bool synced; /* atomic */
};

struct kc_authz {
        struct authz_chains *chains;
        unsigned modes;          /* bits of those that are there */
        struct authz_abac *abac; /* NULL: not among the modes */
        pthread_rwlock_t lock;
        struct authz_rbac *rbac; /* guarded by lock; NULL: not among the modes */
        struct authz_node *node; /* guarded by lock; NULL: not among the modes */
        struct feed feeds[MAX_FEEDS];
        size_t n_feeds;
};

void authz_lock_init(pthread_rwlock_t *lock)
{
        pthread_rwlockattr_t attr;
        pthread_rwlockattr_init(&attr);
        pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(lock, &attr);
        pthread_rwlockattr_destroy(&attr);
}

/* --- feeding, on the loop */

static void set_object(void *arg, const char *key, struct kc_cache_entry *e)
{
        struct feed *f = arg;
        bool pods = strcmp(f->resource, "pods") == 0;
        /* Most changes of pods are of their status. Only this thread writes: reading needs no lock. */
        if (pods && !authz_feed_syncing(f->feed) &&
            authz_node_knows_pod(f->authz->node, key, kc_cache_entry_field("spec.nodeName", e)))
                return;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_resources_object(e);
        if (!obj)
                return;
        pthread_rwlock_wrlock(&f->authz->lock);
        f->set(f->authz, f->resource, key, kc_object_json(obj));
        pthread_rwlock_unlock(&f->authz->lock);
}

static void del_object(void *arg, const char *key)
{
        struct feed *f = arg;
        pthread_rwlock_wrlock(&f->authz->lock);
        f->set(f->authz, f->resource, key, NULL);
        pthread_rwlock_unlock(&f->authz->lock);
}

static void synced(void *arg)
{
        __atomic_store_n(&((struct feed *)arg)->synced, true, __ATOMIC_RELEASE);
}

static void set_rbac(struct kc_authz *a, const char *resource, const char *key, const struct json_object *obj)
{
        authz_rbac_set(a->rbac, resource, key, obj);
}

static void set_node(struct kc_authz *a, const char *resource, const char *key, const struct json_object *obj)
{
        authz_node_set(a->node, resource, key, obj);
}

static const struct {
        enum authz_mode mode;
        const char *group, *resource;
        void (*set)(struct kc_authz *a, const char *resource, const char *key, const struct json_object *obj);
} feeds[] = {
    {AUTHZ_NODE, "", "pods", set_node},
    {AUTHZ_NODE, "", "persistentvolumes", set_node},
    {AUTHZ_NODE, "storage.k8s.io", "volumeattachments", set_node},
    {AUTHZ_NODE, "resource.k8s.io", "resourceslices", set_node},
    {AUTHZ_RBAC, RBAC_GROUP, "clusterroles", set_rbac},
    {AUTHZ_RBAC, RBAC_GROUP, "clusterrolebindings", set_rbac},
    {AUTHZ_RBAC, RBAC_GROUP, "roles", set_rbac},
    {AUTHZ_RBAC, RBAC_GROUP, "rolebindings", set_rbac},
};

static void add_feed(struct kc_authz *a, const struct kc_authz_opts *o, size_t i)
{
        static const struct authz_feed_cbs cbs = {.set = set_object, .del = del_object, .synced = synced};
        const struct kc_stored *s = kc_resources_find(o->resources, feeds[i].group, feeds[i].resource);
        if (!s)
                return;
        struct feed *f = &a->feeds[a->n_feeds++];
        f->authz = a;
        f->resource = feeds[i].resource;
        f->set = feeds[i].set;
        f->feed = authz_feed_new(o->loop, s->cache, &cbs, f);
}

static void add_indexes(struct kc_authz *a, const struct kc_authz_opts *o)
{
        if (a->modes & 1U << AUTHZ_NODE)
                a->node = authz_node_new();
        if (a->modes & 1U << AUTHZ_RBAC)
                a->rbac = authz_rbac_new();
        for (size_t i = 0; i < KC_ARRAY_LEN(feeds); i++)
                if (a->modes & 1U << feeds[i].mode)
                        add_feed(a, o, i);
}

static int read_specs(const struct kc_authz_opts *o, struct authz_specs *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        return kc_str_empty(o->config_file) ? authz_specs_from_flags(o, ret, err)
                                            : authz_chains_read(o->config_file, &text, ret, err);
}

int kc_authz_new(const struct kc_authz_opts *o, struct kc_authz **ret, struct kc_error *err)
{
        KC_CLEANUP(authz_specs_done) struct authz_specs specs = {0};
        int r = read_specs(o, &specs, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_authz_freep) struct kc_authz *a = KC_NEW(struct kc_authz);
        authz_lock_init(&a->lock);
        for (size_t i = 0; i < specs.n; i++)
                a->modes |= 1U << specs.v[i].mode;
        if (a->modes & 1U << AUTHZ_ABAC)
                r = kc_str_empty(o->policy_file)
                        ? kc_error_set(err, EINVAL, "authorization-mode ABAC's authorization policy file not passed")
                        : authz_abac_load(o->policy_file, &a->abac, err);
        if (r == 0)
                r = authz_chains_new(&specs, kc_str_empty(o->config_file) ? NULL : o->config_file, &a->chains, err);
        if (r < 0)
                return r;
        add_indexes(a, o);
        *ret = KC_TAKE(a);
        return 0;
}

void kc_authz_close(struct kc_authz *a)
{
        if (a)
                authz_chains_close(a->chains);
}

void kc_authz_free(struct kc_authz *a)
{
        if (!a)
                return;
        for (size_t i = 0; i < a->n_feeds; i++)
                authz_feed_free(a->feeds[i].feed);
        authz_chains_free(a->chains);
        authz_abac_free(a->abac);
        authz_rbac_free(a->rbac);
        authz_node_free(a->node);
        pthread_rwlock_destroy(&a->lock);
        kc_free(a);
}

bool kc_authz_has_mode(const struct kc_authz *a, const char *mode)
{
        for (int i = 0; i < AUTHZ_N_MODES; i++)
                if (strcmp(authz_mode_names[i], mode) == 0)
                        return a->modes & 1U << i;
        return false;
}

void kc_authz_start(struct kc_authz *a)
{
        for (size_t i = 0; i < a->n_feeds; i++)
                authz_feed_start(a->feeds[i].feed);
}

bool kc_authz_ready(const struct kc_authz *a)
{
        for (size_t i = 0; i < a->n_feeds; i++)
                if (!__atomic_load_n(&a->feeds[i].synced, __ATOMIC_ACQUIRE))
                        return false;
        return true;
}

/* --- questions */

/* A question on its way through the chain. */
struct question {
        struct kc_authz *authz;
        const struct kc_authz_attrs *attrs;
        bool may_wait;
        char **reasons; /* strv: of those who had no opinion */
};

/* False: it would have to wait. */
static bool ask(struct question *q, const struct authz_chain *chain, size_t i, enum kc_decision *ret, char **ret_why)
{
        struct kc_authz *a = q->authz;
        bool allowed = false;
        switch (chain->specs.v[i].mode) {
        case AUTHZ_ALWAYS_ALLOW:
                allowed = true;
                break;
        case AUTHZ_ALWAYS_DENY:
                *ret_why = kc_strdup("Everything is forbidden.");
                break;
        case AUTHZ_NODE:
                pthread_rwlock_rdlock(&a->lock);
                *ret = authz_node_authorize(a->node, q->attrs, ret_why);
                pthread_rwlock_unlock(&a->lock);
                return true;
        case AUTHZ_RBAC:
                pthread_rwlock_rdlock(&a->lock);
                allowed = authz_rbac_allows(a->rbac, q->attrs, ret_why);
                pthread_rwlock_unlock(&a->lock);
                break;
        case AUTHZ_ABAC:
                allowed = authz_abac_allows(a->abac, q->attrs, ret_why);
                break;
        case AUTHZ_WEBHOOK:
                if (q->may_wait)
                        *ret = authz_webhook_ask(chain->webhooks[i], q->attrs, ret_why);
                return q->may_wait || authz_webhook_remembers(chain->webhooks[i], q->attrs, ret, ret_why);
        case AUTHZ_N_MODES:
                break;
        }
        *ret = allowed ? KC_ALLOW : KC_NO_OPINION;
        return true;
}

static bool ask_all(struct question *q, const struct authz_chain *chain, enum kc_decision *ret, char **ret_reason)
{
        *ret = KC_NO_OPINION;
        for (size_t i = 0; i < chain->specs.n; i++) {
                char *why = NULL;
                if (!ask(q, chain, i, ret, &why))
                        return false;
                if (*ret != KC_NO_OPINION) {
                        *ret_reason = why;
                        return true;
                }
                if (kc_str_empty(why))
                        kc_free(why);
                else
                        kc_strv_push_take(&q->reasons, why);
        }
        *ret_reason = q->reasons ? kc_strv_join(q->reasons, "\n") : NULL;
        return true;
}

static bool decide(struct question *q, enum kc_decision *ret, char **ret_reason)
{
        KC_CLEANUP(kc_freep) char *reason = NULL;
        if (kc_user_in_group(q->attrs->user, KC_GROUP_MASTERS)) {
                *ret = KC_ALLOW;
                return true;
        }
        struct authz_chain *chain = authz_chains_get(q->authz->chains);
        bool decided = ask_all(q, chain, ret, &reason);
        authz_chains_put(q->authz->chains, chain);
        kc_strv_free(q->reasons);
        if (decided && ret_reason)
                *ret_reason = KC_TAKE(reason);
        return decided;
}

enum kc_decision kc_authz_authorize(struct kc_authz *a, const struct kc_authz_attrs *attrs, char **ret_reason)
{
        enum kc_decision d = KC_NO_OPINION;
        (void)decide(
            &(struct question){.authz = a, .attrs = attrs, .may_wait = true}, &d, ret_reason); /* always does */
        return d;
}

bool kc_authz_try(struct kc_authz *a, const struct kc_authz_attrs *attrs, enum kc_decision *ret, char **ret_reason)
{
        return decide(&(struct question){.authz = a, .attrs = attrs}, ret, ret_reason);
}

/* As upstream's sanitizer for messages that a browser may show. */
static void add_sanitized(struct kc_buf *b, const char *s)
{
        for (; *s; s++) {
                if (*s == '&')
                        kc_buf_adds(b, "&amp;");
                else if (*s == '<')
                        kc_buf_adds(b, "&lt;");
                else if (*s == '>')
                        kc_buf_adds(b, "&gt;");
                else
                        kc_buf_addc(b, *s);
        }
}

static void forbidden_message(struct kc_buf *b, const struct kc_authz_attrs *a)
{
        kc_buf_adds(b, "User ");
        kc_quote_add(b, a->user->name);
        kc_buf_addf(b, " cannot %s ", a->verb);
        if (!a->resource_request) {
                kc_buf_adds(b, "path ");
                kc_quote_add(b, a->path);
                return;
        }
        KC_CLEANUP(kc_freep)
        char *resource = a->subresource[0] ? kc_asprintf("%s/%s", a->resource, a->subresource) : kc_strdup(a->resource);
        kc_buf_adds(b, "resource ");
        kc_quote_add(b, resource);
        kc_buf_adds(b, " in API group ");
        kc_quote_add(b, a->group);
        if (a->ns[0] == '\0') {
                kc_buf_adds(b, " at the cluster scope");
                return;
        }
        kc_buf_adds(b, " in the namespace ");
        kc_quote_add(b, a->ns);
}

int kc_authz_forbidden(struct kc_error *err, const struct kc_authz_attrs *attrs, const char *reason)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        forbidden_message(&plain, attrs);
        add_sanitized(&b, kc_buf_str(&plain));
        if (!kc_str_empty(reason))
                kc_buf_addf(&b, ": %s", reason);
        bool res = attrs->resource_request;
        return kc_err_forbidden(
            err, res ? attrs->group : "", res ? attrs->resource : "", res ? attrs->name : "", kc_buf_str(&b));
}

/* --- rules of a user */

struct lists {
        struct json_object *resource, *non_resource;
};

static void add_strings(struct json_object *o, const char *key, char *const *v)
{
        if (!v || !v[0])
                return;
        struct json_object *a = json_object_new_array();
        for (; *v; v++)
                kc_json_push_str(a, *v);
        kc_json_set(o, key, a);
}

static void list_rule(const struct rbac_rule *rule, void *arg)
{
        struct lists *l = arg;
        if (rule->resources && rule->resources[0]) {
                struct json_object *o = json_object_new_object();
                add_strings(o, "verbs", rule->verbs);
                add_strings(o, "apiGroups", rule->groups);
                add_strings(o, "resources", rule->resources);
                add_strings(o, "resourceNames", rule->names);
                kc_json_push(l->resource, o);
        }
        if (rule->urls && rule->urls[0]) {
                struct json_object *o = json_object_new_object();
                add_strings(o, "verbs", rule->verbs);
                add_strings(o, "nonResourceURLs", rule->urls);
                kc_json_push(l->non_resource, o);
        }
}

static void list_everything(struct lists *l)
{
        kc_json_push(l->resource, kc_json_build("{'verbs':['*'],'apiGroups':['*'],'resources':['*']}"));
        kc_json_push(l->non_resource, kc_json_build("{'verbs':['*'],'nonResourceURLs':['*']}"));
}

/* Webhooks and the Node authorizer cannot tell their rules. */
static const char *add_rules(
    struct kc_authz *a, enum authz_mode mode, const struct kc_user *user, const char *ns, struct lists *l)
{
        switch (mode) {
        case AUTHZ_ALWAYS_ALLOW:
                list_everything(l);
                return NULL;
        case AUTHZ_RBAC:
                pthread_rwlock_rdlock(&a->lock);
                authz_rbac_visit(a->rbac, user, ns, list_rule, l);
                pthread_rwlock_unlock(&a->lock);
                return NULL;
        case AUTHZ_ABAC:
                authz_abac_visit(a->abac, user, ns, list_rule, l);
                return NULL;
        case AUTHZ_NODE:
                return authz_node_name(user) ? "node authorizer does not support user rule resolution" : NULL;
        case AUTHZ_WEBHOOK:
                return "webhook authorizer does not support user rule resolution";
        case AUTHZ_ALWAYS_DENY:
        case AUTHZ_N_MODES:
                break;
        }
        return NULL;
}

struct json_object *kc_authz_rules(struct kc_authz *a, const struct kc_user *user, const char *ns)
{
        struct lists l = {json_object_new_array(), json_object_new_array()};
        KC_CLEANUP(kc_strv_freep) char **untold = NULL;
        struct authz_chain *chain = authz_chains_get(a->chains);
        for (size_t i = 0; i < chain->specs.n; i++) {
                const char *why = add_rules(a, chain->specs.v[i].mode, user, ns, &l);
                if (why && !(untold && kc_strv_has(untold, why)))
                        kc_strv_push(&untold, why);
        }
        authz_chains_put(a->chains, chain);
        struct json_object *o = kc_json_build(
            "{'resourceRules':%o,'nonResourceRules':%o,'incomplete':%b}", l.resource, l.non_resource, untold != NULL);
        KC_CLEANUP(kc_freep) char *all = untold ? kc_strv_join(untold, ", ") : NULL;
        if (all && kc_strv_len(untold) == 1) {
                kc_json_set_str(o, "evaluationError", all);
        } else if (all) {
                KC_CLEANUP(kc_freep) char *list = kc_asprintf("[%s]", all);
                kc_json_set_str(o, "evaluationError", list);
        }
        return o;
}

/* --- escalation (pkg/registry/rbac/validation) */

static void collect(const struct rbac_rule *rule, void *arg)
{
        rbac_rules_add(arg, rule);
}

static int confirm(
    struct kc_authz *a, const struct kc_user *user, const char *ns, const struct rbac_rules *wanted, char **ret_why)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules owner = {0};
        KC_CLEANUP(rbac_rules_done) struct rbac_rules missing = {0};
        if (a->rbac) {
                pthread_rwlock_rdlock(&a->lock);
                authz_rbac_visit(a->rbac, user, ns, collect, &owner);
                pthread_rwlock_unlock(&a->lock);
        }
        if (rbac_rules_cover(&owner, wanted, &missing))
                return 0;
        KC_CLEANUP(kc_freep) char *groups = kc_strv_join(user->groups, "\" \"");
        KC_CLEANUP(kc_freep) char *rules = rbac_rules_format(&missing);
        *ret_why = kc_asprintf("user \"%s\" (groups=[%s%s%s]) is attempting to grant RBAC permissions not currently "
                               "held:\n%s",
            user->name, groups[0] ? "\"" : "", groups, groups[0] ? "\"" : "", rules);
        return -EACCES;
}

int kc_authz_confirm_rules(
    struct kc_authz *a, const struct kc_user *user, const char *ns, const struct json_object *rules, char **ret_why)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules wanted = {0};
        rbac_rules_compile(&wanted, rules);
        return confirm(a, user, ns, &wanted, ret_why);
}

int kc_authz_confirm_role(
    struct kc_authz *a, const struct kc_user *user, const char *ns, const struct json_object *role_ref, char **ret_why)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules wanted = {0};
        const char *kind = kc_json_str(role_ref, "kind"), *name = kc_json_str(role_ref, "name");
        bool found = false;
        if (a->rbac) {
                pthread_rwlock_rdlock(&a->lock);
                found = authz_rbac_role(a->rbac, kind ? kind : "", ns, name ? name : "", collect, &wanted);
                pthread_rwlock_unlock(&a->lock);
        }
        if (!found)
                return -ENOENT;
        return confirm(a, user, ns, &wanted, ret_why);
}
