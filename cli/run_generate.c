/* Pods and Services as kubectl run makes them. Any thread. */
#include "cli/run_generate.h"

#include <errno.h>
#include <regex.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"
#include "json/yaml.h"

#define LABEL "([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
#define HOST "(" LABEL "(\\." LABEL ")*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?"
#define PART "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define DIGEST "[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

bool kc_run_image_ok(const char *image)
{
        regex_t re;
        static const char pattern[] =
            "^(" HOST "/)?" PART "(/" PART ")*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@" DIGEST ")?$";
        if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
                return false;
        bool ok = regexec(&re, image, 0, NULL, 0) == 0;
        regfree(&re);
        return ok;
}

/* "key=value" into a map. */
static int add_pair(struct json_object *map, const char *what, const char *text, struct kc_error *err)
{
        const char *eq = strchr(text, '=');
        if (!eq || eq == text)
                return kc_error_set(err, EINVAL, "unexpected %s spec: %s", what, text);
        KC_CLEANUP(kc_freep) char *key = kc_strndup(text, (size_t)(eq - text));
        kc_json_set_str(map, key, eq + 1);
        return 0;
}

static int add_env(struct json_object *container, char *const *env, struct kc_error *err)
{
        for (char *const *v = env; v && *v; v++) {
                const char *eq = strchr(*v, '=');
                if (!eq || eq == *v)
                        return kc_error_set(err, EINVAL, "invalid env: %s", *v);
                KC_CLEANUP(kc_freep) char *name = kc_strndup(*v, (size_t)(eq - *v));
                struct json_object *one = kc_json_build("{'name':%s}", name);
                if (eq[1])
                        kc_json_set_str(one, "value", eq + 1);
                kc_json_push(kc_json_ensure_arr(container, "env"), one);
        }
        return 0;
}

static int make_container(const struct kc_run_spec *s, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *c = kc_json_build("{'name':%s,'image':%s,'resources':{}}", s->name, s->image);
        if (!kc_str_empty(s->pull_policy))
                kc_json_set_str(c, "imagePullPolicy", s->pull_policy);
        for (char *const *a = s->args; a && *a; a++)
                kc_json_push_str(kc_json_ensure_arr(c, s->command ? "command" : "args"), *a);
        if (s->in)
                kc_json_set_bool(c, "stdin", true);
        if (s->in && !s->leave_stdin_open)
                kc_json_set_bool(c, "stdinOnce", true);
        if (s->tty)
                kc_json_set_bool(c, "tty", true);
        if (s->privileged)
                kc_json_set(c, "securityContext", kc_json_build("{'privileged':%b}", true));
        int64_t port = 0;
        if (!kc_str_empty(s->port) && kc_str_to_i64(s->port, &port) < 0)
                return kc_error_set(err, EINVAL, "strconv.Atoi: parsing \"%s\": invalid syntax", s->port);
        if (!kc_str_empty(s->port))
                kc_json_set(c, "ports", kc_json_build("[{'containerPort':%lld}]", (long long)port));
        int e = add_env(c, s->env, err);
        if (e == 0)
                *ret = KC_TAKE(c);
        return e;
}

int kc_run_pod(const struct kc_run_spec *s, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            kc_json_build("{'apiVersion':'v1','kind':'Pod','metadata':{'name':%s},'spec':{'containers':[],"
                          "'restartPolicy':%s,'dnsPolicy':'ClusterFirst'},'status':{}}",
                s->name, s->restart);
        struct json_object *metadata = kc_json_get_mut(pod, "metadata"), *container = NULL;
        KC_CLEANUP(kc_strv_freep) char **labels = kc_strv_split(s->labels ? s->labels : "", ',');
        int e = 0;
        if (kc_str_empty(s->labels))
                kc_json_set_str(kc_json_ensure_obj(metadata, "labels"), "run", s->name);
        for (char **l = labels; e == 0 && *l; l++)
                e = add_pair(kc_json_ensure_obj(metadata, "labels"), "label", *l, err);
        for (char *const *a = s->annotations; e == 0 && a && *a; a++)
                e = add_pair(kc_json_ensure_obj(metadata, "annotations"), "annotation", *a, err);
        if (e == 0)
                e = make_container(s, &container, err);
        if (e < 0)
                return e;
        kc_json_push(kc_json_at_mut(pod, "spec.containers"), container);
        *ret = KC_TAKE(pod);
        return 0;
}

struct json_object *kc_run_service(const struct json_object *pod, const char *name, int64_t port)
{
        return kc_json_build("{'apiVersion':'v1','kind':'Service','metadata':{'name':%s},'spec':{'ports':[{'port':%lld,"
                             "'protocol':'TCP','targetPort':%lld}],'selector':%o},'status':{'loadBalancer':{}}}",
            name, (long long)port, (long long)port, kc_json_copy(kc_json_at(pod, "metadata.labels")));
}

int kc_run_override(struct json_object **obj, const char *text, const char *type, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        bool json = kc_streq(type, "json"), strategic = kc_streq(type, "strategic");
        if (!json && !strategic && !kc_streq(type, "merge"))
                return kc_error_set(err, EINVAL, "invalid override type: %s", type);
        if (kc_json_parse(text, strlen(text), NULL, &patch, NULL) < 0) {
                KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
                if (json || kc_yaml_parse_all(text, strlen(text), NULL, &docs, NULL) < 0 || !docs ||
                    !kc_json_is_obj(docs[0]))
                        return kc_error_set(err, EINVAL, "Invalid JSON Patch");
                patch = kc_json_copy(docs[0]);
        }
        if (json)
                return kc_patch_json(obj, patch, err);
        if (!strategic)
                return kc_patch_merge(obj, patch, err);
        const struct kc_resource *known = kc_schema_kind("", "v1", kc_json_str(*obj, "kind"));
        return kc_patch_strategic(obj, patch, known->type, err);
}
