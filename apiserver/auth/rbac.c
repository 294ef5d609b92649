/* The RBAC index: from a subject to the roles that it has in a scope. Fed by watches, under the authorizer's write
 * lock; asked under its read lock, without allocating anything but the reason.
 *
 *   users, groups: "jane" -> subject { everywhere: grants, by_ns: "default" -> grants }
 *   grants:        one for each role, with the bindings that give it
 *   roles:         "ns/name", "/name" of ClusterRoles -> slot: the role, or the place of one that bindings only name
 *   bindings:      "ns/name", "/name" of ClusterRoleBindings
 *
 * A change of a role or a binding touches nothing but what it is about. */
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "auth/authz_internal.h"
#include "auth/rbac_role.h"
#include "base/str.h"

struct slot {
        char *key;
        struct rbac_role *role; /* NULL: there is none */
        size_t refs;            /* bindings that name it */
};

struct binding_subject {
        bool group;
        char *name;
        char *text; /* for the reason: Group "dev" */
};

struct binding {
        char *ns, *name; /* ns "": ClusterRoleBinding */
        char *ref_kind, *ref_name;
        struct slot *slot;
        struct binding_subject *subjects;
        size_t n_subjects;
};

struct grant {
        const struct slot *slot;
        const struct binding **bindings;
        size_t n;
};

struct grants {
        struct grant *v;
        size_t n;
};

struct subject {
        struct grants everywhere;
        struct kc_map *by_ns; /* of grants; NULL: none */
};

struct authz_rbac {
        struct kc_map *roles, *bindings, *users, *groups;
};

static void slot_free(void *p)
{
        struct slot *s = p;
        rbac_role_free(s->role);
        kc_free(s->key);
        kc_free(s);
}

static void binding_free(void *p)
{
        struct binding *b = p;
        for (size_t i = 0; i < b->n_subjects; i++) {
                kc_free(b->subjects[i].name);
                kc_free(b->subjects[i].text);
        }
        kc_free(b->subjects);
        kc_free(b->ns);
        kc_free(b->name);
        kc_free(b->ref_kind);
        kc_free(b->ref_name);
        kc_free(b);
}

static void grants_done(struct grants *g)
{
        for (size_t i = 0; i < g->n; i++)
                kc_free(g->v[i].bindings);
        kc_free(g->v);
}

static void grants_free(void *p)
{
        grants_done(p);
        kc_free(p);
}

static void subject_free(void *p)
{
        struct subject *s = p;
        grants_done(&s->everywhere);
        kc_map_free(s->by_ns);
        kc_free(s);
}

struct authz_rbac *authz_rbac_new(void)
{
        struct authz_rbac *r = KC_NEW(struct authz_rbac);
        r->roles = kc_map_new(slot_free);
        r->bindings = kc_map_new(binding_free);
        r->users = kc_map_new(subject_free);
        r->groups = kc_map_new(subject_free);
        return r;
}

void authz_rbac_free(struct authz_rbac *r)
{
        if (!r)
                return;
        kc_map_free(r->users);
        kc_map_free(r->groups);
        kc_map_free(r->bindings);
        kc_map_free(r->roles);
        kc_free(r);
}

/* --- roles */

static struct slot *slot_get(struct authz_rbac *rb, const char *key)
{
        struct slot *s = kc_map_get(rb->roles, key);
        if (!s) {
                s = KC_NEW(struct slot);
                s->key = kc_strdup(key);
                (void)kc_map_set(rb->roles, key, s);
        }
        return s;
}

static void slot_drop_if_unused(struct authz_rbac *rb, struct slot *s)
{
        if (s->role || s->refs > 0)
                return;
        KC_CLEANUP(kc_freep) char *key = KC_TAKE(s->key);
        (void)kc_map_remove(rb->roles, key);
}

static void set_role(struct authz_rbac *rb, const char *key, const struct json_object *obj)
{
        struct slot *s = slot_get(rb, key);
        rbac_role_free(s->role);
        s->role = obj ? rbac_role_new(kc_json_get(obj, "rules")) : NULL;
        slot_drop_if_unused(rb, s);
}

/* --- grants */

static void grants_add(struct grants *g, const struct binding *b)
{
        size_t i = 0;
        while (i < g->n && g->v[i].slot != b->slot)
                i++;
        if (i == g->n) {
                g->v = kc_reallocarray(g->v, g->n + 1, sizeof(*g->v));
                g->v[g->n++] = (struct grant){.slot = b->slot};
        }
        struct grant *to = &g->v[i];
        if (to->n > 0 && to->bindings[to->n - 1] == b)
                return; /* the binding names the subject twice */
        to->bindings = kc_reallocarray(to->bindings, to->n + 1, sizeof(*to->bindings));
        to->bindings[to->n++] = b;
}

static void grants_remove(struct grants *g, const struct binding *b)
{
        size_t i = 0;
        while (i < g->n && g->v[i].slot != b->slot)
                i++;
        if (i == g->n)
                return;
        struct grant *from = &g->v[i];
        size_t kept = 0;
        for (size_t j = 0; j < from->n; j++)
                if (from->bindings[j] != b)
                        from->bindings[kept++] = from->bindings[j];
        from->n = kept;
        if (kept > 0)
                return;
        kc_free(from->bindings);
        *from = g->v[--g->n];
}

static struct kc_map *subjects_of(const struct authz_rbac *rb, const struct binding_subject *s)
{
        return s->group ? rb->groups : rb->users;
}

static void index_subject(struct authz_rbac *rb, const struct binding *b, const struct binding_subject *bs)
{
        struct subject *s = kc_map_get(subjects_of(rb, bs), bs->name);
        if (!s) {
                s = KC_NEW(struct subject);
                (void)kc_map_set(subjects_of(rb, bs), bs->name, s);
        }
        if (b->ns[0] == '\0') {
                grants_add(&s->everywhere, b);
                return;
        }
        if (!s->by_ns)
                s->by_ns = kc_map_new(grants_free);
        struct grants *g = kc_map_get(s->by_ns, b->ns);
        if (!g) {
                g = KC_NEW(struct grants);
                (void)kc_map_set(s->by_ns, b->ns, g);
        }
        grants_add(g, b);
}

static void unindex_subject(struct authz_rbac *rb, const struct binding *b, const struct binding_subject *bs)
{
        struct subject *s = kc_map_get(subjects_of(rb, bs), bs->name);
        if (!s)
                return; /* named twice, and gone with the first */
        if (b->ns[0] == '\0') {
                grants_remove(&s->everywhere, b);
        } else {
                struct grants *g = s->by_ns ? kc_map_get(s->by_ns, b->ns) : NULL;
                if (g)
                        grants_remove(g, b);
                if (g && g->n == 0)
                        (void)kc_map_remove(s->by_ns, b->ns);
        }
        if (s->everywhere.n == 0 && (!s->by_ns || kc_map_len(s->by_ns) == 0))
                (void)kc_map_remove(subjects_of(rb, bs), bs->name);
}

/* --- bindings */

static char *subject_text(const char *kind, const char *name)
{
        struct kc_buf text = KC_BUF_INIT;
        kc_buf_addf(&text, "%s ", kind);
        kc_quote_add(&text, name);
        return kc_buf_take_str(&text);
}

static void add_subject(struct binding *b, const struct json_object *s)
{
        const char *kind = kc_json_str(s, "kind"), *name = kc_json_str(s, "name");
        struct binding_subject to = {0};
        if (!kind || !name)
                return;
        if (strcmp(kind, "ServiceAccount") == 0) {
                const char *ns = kc_json_str(s, "namespace");
                ns = kc_str_empty(ns) ? b->ns : ns;
                if (ns[0] == '\0')
                        return;
                KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s/%s", name, ns);
                to.name = kc_serviceaccount_username(ns, name);
                to.text = subject_text(kind, full);
        } else if (strcmp(kind, "Group") == 0 || strcmp(kind, "User") == 0) {
                to.group = kind[0] == 'G';
                to.name = kc_strdup(name);
                to.text = subject_text(kind, name);
        } else {
                return;
        }
        b->subjects = kc_reallocarray(b->subjects, b->n_subjects + 1, sizeof(*b->subjects));
        b->subjects[b->n_subjects++] = to;
}

static void remove_binding(struct authz_rbac *rb, const char *key)
{
        struct binding *b = kc_map_get(rb->bindings, key);
        if (!b)
                return;
        for (size_t i = 0; i < b->n_subjects; i++)
                unindex_subject(rb, b, &b->subjects[i]);
        b->slot->refs--;
        slot_drop_if_unused(rb, b->slot);
        (void)kc_map_remove(rb->bindings, key);
}

static void set_binding(struct authz_rbac *rb, const char *key, const struct json_object *obj)
{
        remove_binding(rb, key);
        if (!obj)
                return;
        struct binding *b = KC_NEW(struct binding);
        const char *ns = kc_meta_namespace(obj), *kind = kc_json_str_at(obj, "roleRef.kind"),
                   *role = kc_json_str_at(obj, "roleRef.name");
        b->ns = kc_strdup(ns ? ns : "");
        b->name = kc_strdup(kc_meta_name(obj));
        b->ref_kind = kc_strdup(kind ? kind : "");
        b->ref_name = kc_strdup(role ? role : "");
        KC_CLEANUP(kc_freep)
        char *role_key = kc_asprintf("%s/%s", strcmp(b->ref_kind, "ClusterRole") == 0 ? "" : b->ns, b->ref_name);
        b->slot = slot_get(rb, role_key);
        b->slot->refs++;
        const struct json_object *subjects = kc_json_get(obj, "subjects");
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                add_subject(b, kc_json_idx(subjects, i));
        (void)kc_map_set(rb->bindings, key, b);
        for (size_t i = 0; i < b->n_subjects; i++)
                index_subject(rb, b, &b->subjects[i]);
}

void authz_rbac_set(struct authz_rbac *r, const char *resource, const char *key, const struct json_object *obj)
{
        if (strcmp(resource, "clusterroles") == 0 || strcmp(resource, "roles") == 0)
                set_role(r, key, obj);
        else
                set_binding(r, key, obj);
}

/* --- asking */

/* fn(grant) for each role that the user has everywhere, then for each it has in ns ("": none), until it returns true.
 * by: the subject that has it. */
typedef bool (*grant_fn)(const struct grant *g, const char *by, bool group, void *arg);

static bool each_in(const struct grants *g, const char *by, bool group, grant_fn fn, void *arg)
{
        for (size_t i = 0; g && i < g->n; i++)
                if (fn(&g->v[i], by, group, arg))
                        return true;
        return false;
}

static bool each_of_subject(
    const struct kc_map *subjects, const char *name, const char *ns, bool group, grant_fn fn, void *arg)
{
        const struct subject *s = kc_map_get(subjects, name);
        if (!s)
                return false;
        if (ns[0] == '\0')
                return each_in(&s->everywhere, name, group, fn, arg);
        return s->by_ns && each_in(kc_map_get(s->by_ns, ns), name, group, fn, arg);
}

static bool each_in_scope(const struct authz_rbac *rb, const struct kc_user *u, const char *ns, grant_fn fn, void *arg)
{
        if (each_of_subject(rb->users, u->name, ns, false, fn, arg))
                return true;
        for (char **g = u->groups; g && *g; g++)
                if (each_of_subject(rb->groups, *g, ns, true, fn, arg))
                        return true;
        return false;
}

static bool each_grant(const struct authz_rbac *rb, const struct kc_user *u, const char *ns, grant_fn fn, void *arg)
{
        return each_in_scope(rb, u, "", fn, arg) || (ns[0] != '\0' && each_in_scope(rb, u, ns, fn, arg));
}

/* RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "u" */
static char *allowed_reason(const struct binding *b, const char *by, bool group)
{
        struct kc_buf t = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *name = b->ns[0] ? kc_asprintf("%s/%s", b->name, b->ns) : kc_strdup(b->name);
        kc_buf_adds(&t, b->ns[0] ? "RBAC: allowed by RoleBinding " : "RBAC: allowed by ClusterRoleBinding ");
        kc_quote_add(&t, name);
        kc_buf_adds(&t, " of ");
        kc_buf_adds(&t, b->ref_kind);
        kc_buf_addc(&t, ' ');
        kc_quote_add(&t, b->ref_name);
        for (size_t i = 0; i < b->n_subjects; i++)
                if (b->subjects[i].group == group && strcmp(b->subjects[i].name, by) == 0) {
                        kc_buf_adds(&t, " to ");
                        kc_buf_adds(&t, b->subjects[i].text);
                        break;
                }
        return kc_buf_take_str(&t);
}

struct question {
        struct rbac_ask ask;
        char **ret_reason;
};

static bool grant_allows(const struct grant *g, const char *by, bool group, void *arg)
{
        struct question *q = arg;
        if (!g->slot->role || !rbac_role_allows(g->slot->role, &q->ask))
                return false;
        if (q->ret_reason)
                *q->ret_reason = allowed_reason(g->bindings[0], by, group);
        return true;
}

/* Roles that bindings name and that do not exist, as upstream's errors. */
static bool add_missing(const struct grant *g, const char *by, bool group, void *arg)
{
        (void)by;
        (void)group;
        char ***missing = arg;
        if (g->slot->role)
                return false;
        const struct binding *b = g->bindings[0];
        KC_CLEANUP(kc_freep) char *kind = kc_strdup(b->ref_kind);
        for (char *c = kind; *c; c++)
                *c |= 0x20; /* kinds are ASCII */
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("%s.rbac.authorization.k8s.io \"%s\" not found", kind, b->ref_name);
        if (!*missing || !kc_strv_has(*missing, text))
                kc_strv_push(missing, text);
        return false;
}

bool authz_rbac_allows(struct authz_rbac *r, const struct kc_authz_attrs *a, char **ret_reason)
{
        struct question q = {.ret_reason = ret_reason};
        const char *ns = a->resource_request ? a->ns : "";
        rbac_ask_init(&q.ask, a);
        if (each_grant(r, a->user, ns, grant_allows, &q))
                return true;
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        if (ret_reason)
                (void)each_grant(r, a->user, ns, add_missing, &missing);
        if (missing) {
                KC_CLEANUP(kc_freep) char *all = kc_strv_join(missing, ", ");
                *ret_reason = kc_strv_len(missing) == 1 ? kc_asprintf("RBAC: %s", all) : kc_asprintf("RBAC: [%s]", all);
        }
        return false;
}

/* --- rules of a user or a role */

struct visit {
        void (*fn)(const struct rbac_rule *rule, void *arg);
        void *arg;
        const struct slot **seen;
        size_t n_seen;
};

static void visit_role(const struct rbac_role *r, struct visit *v)
{
        for (size_t i = 0; i < r->rules.n; i++)
                v->fn(&r->rules.v[i], v->arg);
}

static bool visit_grant(const struct grant *g, const char *by, bool group, void *arg)
{
        (void)by; /* by whichever subject: its rules count once */
        (void)group;
        struct visit *v = arg;
        for (size_t i = 0; i < v->n_seen; i++)
                if (v->seen[i] == g->slot)
                        return false;
        v->seen = kc_reallocarray(v->seen, v->n_seen + 1, sizeof(*v->seen));
        v->seen[v->n_seen++] = g->slot;
        if (g->slot->role)
                visit_role(g->slot->role, v);
        return false;
}

void authz_rbac_visit(struct authz_rbac *r, const struct kc_user *u, const char *ns,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg)
{
        struct visit v = {.fn = fn, .arg = arg};
        (void)each_grant(r, u, ns, visit_grant, &v);
        kc_free(v.seen);
}

bool authz_rbac_role(struct authz_rbac *r, const char *kind, const char *ns, const char *name,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", strcmp(kind, "ClusterRole") == 0 ? "" : ns, name);
        const struct slot *slot = kc_map_get(r->roles, key);
        if (!slot || !slot->role)
                return false;
        struct visit v = {.fn = fn, .arg = arg};
        visit_role(slot->role, &v);
        return true;
}
