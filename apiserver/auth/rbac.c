/* The RBAC index: roles by name, bindings by scope and subject. Fed by watches, under the authorizer's write lock;
 * asked under its read lock.
 *
 *   bindings: "<namespace>\n<u|g>:<subject>" -> bindings there that name the subject ("" for ClusterRoleBindings)
 *   roles:    "<namespace>/<name>"           -> rules ("/<name>" for ClusterRoles)
 */
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "auth/authz_internal.h"
#include "base/str.h"

struct role {
        struct rbac_rules rules;
        struct json_object *labels;     /* of ClusterRoles, for aggregation; NULL: none */
        struct kc_selector **selectors; /* aggregationRule.clusterRoleSelectors */
        size_t n_selectors;
        char **parts; /* strv: keys of the roles that are part of this one */
};

struct subject {
        char *index_key; /* in by_subject */
        char *text;      /* for the reason: Group "dev" */
};

struct binding {
        char *ns, *name; /* ns "": ClusterRoleBinding */
        char *ref_kind, *ref_name;
        char *role_key;
        struct subject *subjects;
        size_t n_subjects;
};

struct grants { /* bindings of one subject in one scope */
        struct binding **v;
        size_t n;
};

struct authz_rbac {
        struct kc_map *roles, *bindings, *by_subject;
};

static void role_free(void *p)
{
        struct role *r = p;
        rbac_rules_done(&r->rules);
        kc_json_free(r->labels);
        for (size_t i = 0; i < r->n_selectors; i++)
                kc_selector_free(r->selectors[i]);
        kc_free(r->selectors);
        kc_strv_free(r->parts);
        kc_free(r);
}

static void binding_free(void *p)
{
        struct binding *b = p;
        for (size_t i = 0; i < b->n_subjects; i++) {
                kc_free(b->subjects[i].index_key);
                kc_free(b->subjects[i].text);
        }
        kc_free(b->subjects);
        kc_free(b->ns);
        kc_free(b->name);
        kc_free(b->ref_kind);
        kc_free(b->ref_name);
        kc_free(b->role_key);
        kc_free(b);
}

static void grants_free(void *p)
{
        struct grants *g = p;
        kc_free(g->v);
        kc_free(g);
}

struct authz_rbac *authz_rbac_new(void)
{
        struct authz_rbac *r = KC_NEW(struct authz_rbac);
        r->roles = kc_map_new(role_free);
        r->bindings = kc_map_new(binding_free);
        r->by_subject = kc_map_new(grants_free);
        return r;
}

void authz_rbac_free(struct authz_rbac *r)
{
        if (!r)
                return;
        kc_map_free(r->by_subject);
        kc_map_free(r->bindings);
        kc_map_free(r->roles);
        kc_free(r);
}

/* --- roles */

static struct role *role_new(const struct json_object *obj)
{
        struct role *r = KC_NEW(struct role);
        rbac_rules_compile(&r->rules, kc_json_get(obj, "rules"));
        const struct json_object *labels = kc_meta_labels(obj);
        r->labels = labels ? kc_json_copy(labels) : NULL;
        const struct json_object *sels = kc_json_at(obj, "aggregationRule.clusterRoleSelectors");
        for (size_t i = 0; i < kc_json_len(sels); i++) {
                struct kc_selector *s = NULL;
                /* A selector that does not parse selects nothing: it cannot grant. */
                if (kc_selector_from_label_selector(kc_json_idx(sels, i), &s, NULL) < 0)
                        continue;
                r->selectors = kc_reallocarray(r->selectors, r->n_selectors + 1, sizeof(struct kc_selector *));
                r->selectors[r->n_selectors++] = s;
        }
        return r;
}

static bool selected(const struct role *aggregate, const struct role *r)
{
        for (size_t i = 0; i < aggregate->n_selectors; i++)
                if (kc_selector_matches(aggregate->selectors[i], r->labels))
                        return true;
        return false;
}

/* Which roles the one under key is now part of. */
static void aggregate_into(struct authz_rbac *rb, const char *key, const struct role *r)
{
        size_t it = 0;
        const char *k;
        void *v;
        while (kc_map_next(rb->roles, &it, &k, &v)) {
                struct role *a = v;
                if (a->n_selectors == 0)
                        continue;
                if (a->parts)
                        (void)kc_strv_remove(a->parts, key);
                if (r && r != a && selected(a, r))
                        kc_strv_push(&a->parts, key);
        }
}

/* Which roles are part of the aggregate. */
static void aggregate_from(struct authz_rbac *rb, struct role *a)
{
        size_t it = 0;
        const char *k;
        void *v;
        while (a->n_selectors > 0 && kc_map_next(rb->roles, &it, &k, &v))
                if (k[0] == '/' && v != a && selected(a, v))
                        kc_strv_push(&a->parts, k);
}

static void set_role(struct authz_rbac *rb, const char *key, const struct json_object *obj)
{
        if (!obj) {
                (void)kc_map_remove(rb->roles, key);
                aggregate_into(rb, key, NULL);
                return;
        }
        struct role *r = role_new(obj);
        (void)kc_map_set(rb->roles, key, r);
        if (key[0] != '/')
                return;
        aggregate_into(rb, key, r);
        aggregate_from(rb, r);
}

/* --- bindings */

static void unindex(struct authz_rbac *rb, struct binding *b)
{
        for (size_t i = 0; i < b->n_subjects; i++) {
                struct grants *g = kc_map_get(rb->by_subject, b->subjects[i].index_key);
                for (size_t j = 0; g && j < g->n; j++)
                        if (g->v[j] == b)
                                g->v[j--] = g->v[--g->n];
                if (g && g->n == 0)
                        (void)kc_map_remove(rb->by_subject, b->subjects[i].index_key);
        }
}

static void index_binding(struct authz_rbac *rb, struct binding *b)
{
        for (size_t i = 0; i < b->n_subjects; i++) {
                struct grants *g = kc_map_get(rb->by_subject, b->subjects[i].index_key);
                if (!g) {
                        g = KC_NEW(struct grants);
                        (void)kc_map_set(rb->by_subject, b->subjects[i].index_key, g);
                }
                if (g->n > 0 && g->v[g->n - 1] == b)
                        continue; /* the subject is named twice */
                g->v = kc_reallocarray(g->v, g->n + 1, sizeof(struct binding *));
                g->v[g->n++] = b;
        }
}

static void add_subject(struct binding *b, const struct json_object *s)
{
        const char *kind = kc_json_str(s, "kind"), *name = kc_json_str(s, "name");
        if (!kind || !name)
                return;
        KC_CLEANUP(kc_freep) char *user = NULL;
        struct kc_buf text = KC_BUF_INIT;
        kc_buf_addf(&text, "%s ", kind);
        char type = 'u';
        if (strcmp(kind, "ServiceAccount") == 0) {
                const char *ns = kc_json_str(s, "namespace");
                ns = kc_str_empty(ns) ? b->ns : ns;
                if (ns[0] == '\0') {
                        kc_buf_done(&text);
                        return;
                }
                user = kc_serviceaccount_username(ns, name);
                KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s/%s", name, ns);
                kc_quote_add(&text, full);
        } else {
                type = strcmp(kind, "Group") == 0 ? 'g' : strcmp(kind, "User") == 0 ? 'u' : '\0';
                kc_quote_add(&text, name);
        }
        if (type == '\0') {
                kc_buf_done(&text);
                return;
        }
        b->subjects = kc_reallocarray(b->subjects, b->n_subjects + 1, sizeof(*b->subjects));
        b->subjects[b->n_subjects++] = (struct subject){
            .index_key = kc_asprintf("%s\n%c:%s", b->ns, type, user ? user : name), .text = kc_buf_take_str(&text)};
}

static void set_binding(struct authz_rbac *rb, const char *key, const struct json_object *obj)
{
        struct binding *old = kc_map_get(rb->bindings, key);
        if (old)
                unindex(rb, old);
        if (!obj) {
                (void)kc_map_remove(rb->bindings, key);
                return;
        }
        struct binding *b = KC_NEW(struct binding);
        const char *ns = kc_meta_namespace(obj), *kind = kc_json_str_at(obj, "roleRef.kind"),
                   *role = kc_json_str_at(obj, "roleRef.name");
        b->ns = kc_strdup(ns ? ns : "");
        b->name = kc_strdup(kc_meta_name(obj));
        b->ref_kind = kc_strdup(kind ? kind : "");
        b->ref_name = kc_strdup(role ? role : "");
        b->role_key = kc_asprintf("%s/%s", strcmp(b->ref_kind, "ClusterRole") == 0 ? "" : b->ns, b->ref_name);
        const struct json_object *subjects = kc_json_get(obj, "subjects");
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                add_subject(b, kc_json_idx(subjects, i));
        (void)kc_map_set(rb->bindings, key, b);
        index_binding(rb, b);
}

void authz_rbac_set(struct authz_rbac *r, const char *resource, const char *key, const struct json_object *obj)
{
        if (strcmp(resource, "clusterroles") == 0 || strcmp(resource, "roles") == 0)
                set_role(r, key, obj);
        else
                set_binding(r, key, obj);
}

/* --- asking */

/* fn(rule) for the role's own rules and those of its parts, until it returns true. */
typedef bool (*rule_fn)(const struct rbac_rule *rule, void *arg);

static bool each_rule(const struct authz_rbac *rb, const struct role *r, rule_fn fn, void *arg)
{
        for (size_t i = 0; i < r->rules.n; i++)
                if (fn(&r->rules.v[i], arg))
                        return true;
        for (char **p = r->parts; p && *p; p++) {
                const struct role *part = kc_map_get(rb->roles, *p);
                for (size_t i = 0; part && i < part->rules.n; i++)
                        if (fn(&part->rules.v[i], arg))
                                return true;
        }
        return false;
}

/* fn(binding, subject's text) for each binding of the user in ns, until it returns true. */
typedef bool (*binding_fn)(const struct binding *b, const char *index_key, void *arg);

static bool each_of_subject(
    struct authz_rbac *rb, const char *ns, char type, const char *subject, binding_fn fn, void *arg)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s\n%c:%s", ns, type, subject);
        const struct grants *g = kc_map_get(rb->by_subject, key);
        for (size_t i = 0; g && i < g->n; i++)
                if (fn(g->v[i], key, arg))
                        return true;
        return false;
}

static bool each_binding(struct authz_rbac *rb, const struct kc_user *u, const char *ns, binding_fn fn, void *arg)
{
        if (each_of_subject(rb, ns, 'u', u->name, fn, arg))
                return true;
        for (char **g = u->groups; g && *g; g++)
                if (each_of_subject(rb, ns, 'g', *g, fn, arg))
                        return true;
        return false;
}

struct question {
        struct authz_rbac *rb;
        const struct kc_authz_attrs *attrs;
        char **ret_reason;
        char **missing; /* strv: roles that bindings name and that do not exist */
};

static bool rule_allows(const struct rbac_rule *rule, void *arg)
{
        return rbac_rule_allows(rule, ((struct question *)arg)->attrs);
}

/* RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "u" */
static char *allowed_reason(const struct binding *b, const char *index_key)
{
        struct kc_buf t = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *name = b->ns[0] ? kc_asprintf("%s/%s", b->name, b->ns) : kc_strdup(b->name);
        kc_buf_adds(&t, b->ns[0] ? "RBAC: allowed by RoleBinding " : "RBAC: allowed by ClusterRoleBinding ");
        kc_quote_add(&t, name);
        kc_buf_addf(&t, " of %s ", b->ref_kind);
        kc_quote_add(&t, b->ref_name);
        for (size_t i = 0; i < b->n_subjects; i++)
                if (strcmp(b->subjects[i].index_key, index_key) == 0) {
                        kc_buf_addf(&t, " to %s", b->subjects[i].text);
                        break;
                }
        return kc_buf_take_str(&t);
}

static bool binding_allows(const struct binding *b, const char *index_key, void *arg)
{
        struct question *q = arg;
        const struct role *r = kc_map_get(q->rb->roles, b->role_key);
        if (!r) {
                KC_CLEANUP(kc_freep) char *kind = kc_strdup(b->ref_kind);
                for (char *c = kind; *c; c++)
                        *c |= 0x20; /* kinds are ASCII */
                kc_strv_pushf(&q->missing, "%s.rbac.authorization.k8s.io \"%s\" not found", kind, b->ref_name);
                return false;
        }
        if (!each_rule(q->rb, r, rule_allows, q))
                return false;
        if (q->ret_reason)
                *q->ret_reason = allowed_reason(b, index_key);
        return true;
}

bool authz_rbac_allows(struct authz_rbac *r, const struct kc_authz_attrs *a, char **ret_reason)
{
        struct question q = {.rb = r, .attrs = a, .ret_reason = ret_reason};
        bool allowed = each_binding(r, a->user, "", binding_allows, &q);
        if (!allowed && a->resource_request && a->ns[0] != '\0')
                allowed = each_binding(r, a->user, a->ns, binding_allows, &q);
        if (!allowed && q.missing && ret_reason) {
                KC_CLEANUP(kc_freep) char *all = kc_strv_join(q.missing, ", ");
                *ret_reason =
                    kc_strv_len(q.missing) == 1 ? kc_asprintf("RBAC: %s", all) : kc_asprintf("RBAC: [%s]", all);
        }
        kc_strv_free(q.missing);
        return allowed;
}

struct visit {
        struct authz_rbac *rb;
        void (*fn)(const struct rbac_rule *rule, void *arg);
        void *arg;
        const struct binding **seen;
        size_t n_seen;
};

static bool visit_rule(const struct rbac_rule *rule, void *arg)
{
        struct visit *v = arg;
        v->fn(rule, v->arg);
        return false;
}

static bool visit_binding(const struct binding *b, const char *index_key, void *arg)
{
        (void)index_key; /* by whichever subject: its rules count once */
        struct visit *v = arg;
        for (size_t i = 0; i < v->n_seen; i++)
                if (v->seen[i] == b)
                        return false;
        v->seen = kc_reallocarray(v->seen, v->n_seen + 1, sizeof(*v->seen));
        v->seen[v->n_seen++] = b;
        const struct role *r = kc_map_get(v->rb->roles, b->role_key);
        if (r)
                (void)each_rule(v->rb, r, visit_rule, v);
        return false;
}

void authz_rbac_visit(struct authz_rbac *r, const struct kc_user *u, const char *ns,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg)
{
        struct visit v = {.rb = r, .fn = fn, .arg = arg};
        (void)each_binding(r, u, "", visit_binding, &v);
        if (ns[0] != '\0')
                (void)each_binding(r, u, ns, visit_binding, &v);
        kc_free(v.seen);
}

bool authz_rbac_role(struct authz_rbac *r, const char *kind, const char *ns, const char *name,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", strcmp(kind, "ClusterRole") == 0 ? "" : ns, name);
        const struct role *role = kc_map_get(r->roles, key);
        if (!role)
                return false;
        struct visit v = {.rb = r, .fn = fn, .arg = arg};
        (void)each_rule(r, role, visit_rule, &v);
        return true;
}
