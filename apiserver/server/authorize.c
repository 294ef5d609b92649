/* The stage of authorization: may the user do that? On the request's loop, but for what a webhook has to be asked
 * about. */
#include <string.h>

#include "api/selector.h"
#include "base/str.h"
#include "server/server_internal.h"

/* --authorization-always-allow-paths. */
static bool always_allowed(const struct api_req *q)
{
        char *const *p = q->server->o->authorization_always_allow_paths;
        for (; !q->info.is_resource && p && *p; p++) {
                const char *path = q->info.path + (*q->info.path == '/'), *want = *p + (**p == '/');
                size_t len = strlen(want);
                bool below = len > 0 && want[len - 1] == '*';
                if (below ? strncmp(path, want, len - 1) == 0 : strcmp(path, want) == 0)
                        return true;
        }
        return false;
}

/* A request's question and its answer, for as long as it takes. */
struct question {
        struct kc_authz *authz;
        struct kc_authz_attrs attrs; /* borrows from the request */
        struct kc_field_selector *fields;
        struct json_object *labels;
        enum kc_decision decision;
        char *reason;
};

static void question_done(struct question *n)
{
        kc_field_selector_free(n->fields);
        kc_json_free(n->labels);
        kc_free(n->reason);
}

static void question_free(void *arg)
{
        question_done(arg);
        kc_free(arg);
}

/* What narrows a collection counts for who may have it; the handler complains of a bad selector. */
static void read_selectors(const struct api_req *q, struct question *n)
{
        static const char *const verbs[] = {"list", "watch", "deletecollection", NULL};
        if (!q->info.is_resource || !kc_strv_has((char *const *)verbs, q->info.verb))
                return;
        KC_CLEANUP(kc_freep) char *fields = api_req_param(q, "fieldSelector");
        KC_CLEANUP(kc_freep) char *labels = api_req_param(q, "labelSelector");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        if (fields)
                (void)kc_field_selector_parse(fields, &n->fields, NULL);
        if (labels && kc_selector_parse(labels, &selector, NULL) == 0)
                n->labels = kc_selector_requirements(selector);
        n->attrs.field_selector = n->fields;
        n->attrs.label_requirements = n->labels;
}

static enum stage_result settle(struct api_req *q, const struct question *n)
{
        bool allowed = n->decision == KC_ALLOW;
        kc_audit_record_annotate(q->audit, "authorization.k8s.io/decision", allowed ? "allow" : "forbid");
        kc_audit_record_annotate(q->audit, "authorization.k8s.io/reason", n->reason);
        if (allowed)
                return STAGE_NEXT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_authz_forbidden(&err, &n->attrs, n->reason);
        api_reply_error(q, &err);
        return STAGE_ANSWERED;
}

static void work(void *arg)
{
        struct question *n = arg;
        n->decision = kc_authz_authorize(n->authz, &n->attrs, &n->reason);
}

static enum stage_result work_done(struct api_req *q, void *arg)
{
        return settle(q, arg);
}

enum stage_result stage_authorize(struct api_req *q)
{
        if (always_allowed(q)) {
                kc_audit_record_annotate(q->audit, "authorization.k8s.io/decision", "allow");
                kc_audit_record_annotate(q->audit, "authorization.k8s.io/reason", "");
                return STAGE_NEXT;
        }
        KC_CLEANUP(question_done) struct question n = {.authz = q->server->authz, .attrs = request_attrs(q)};
        read_selectors(q, &n);
        if (kc_authz_try(n.authz, &n.attrs, &n.decision, &n.reason))
                return settle(q, &n);
        struct question *later = KC_NEW(struct question);
        *later = n;
        n = (struct question){0};
        return stage_aside(q, q->server->authz_pool, &(struct stage_work){work, work_done, question_free, later});
}
