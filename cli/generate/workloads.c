/* Namespaces, service accounts, Deployments, Jobs, CronJobs. Any thread. */
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "cli/generate/generate.h"

enum { SUFFIX_LEN = 5 };

struct json_object *kc_generate_namespace(const char *name)
{
        return kc_json_build("{'apiVersion':'v1','kind':'Namespace','metadata':{'name':%s}}", name);
}

struct json_object *kc_generate_service_account(const char *name)
{
        return kc_json_build("{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':%s}}", name);
}

/* "registry/a_b:1@sha256:..." -> "a-b"; a name that had to be changed gets a random end, as it may be another's. */
static char *container_name(const char *image)
{
        const char *base = strrchr(image, '/') ? strrchr(image, '/') + 1 : image;
        KC_CLEANUP(kc_freep) char *name = kc_strndup(base, strcspn(base, ":@"));
        bool changed = false;
        for (char *p = name; *p; p++)
                if (*p == '_') {
                        *p = '-';
                        changed = true;
                }
        if (!changed)
                return KC_TAKE(name);
        char suffix[SUFFIX_LEN + 1];
        kc_rand_suffix(suffix, SUFFIX_LEN);
        return kc_asprintf("%s-%s", name, suffix);
}

static void add_command(struct json_object *container, char *const *command)
{
        for (char *const *arg = command; arg && *arg; arg++)
                kc_json_push_str(kc_json_ensure_arr(container, "command"), *arg);
}

struct json_object *kc_generate_deployment(
    const char *name, char *const *images, int64_t replicas, int64_t port, char *const *command)
{
        struct json_object *containers = json_object_new_array();
        for (size_t i = 0; images && images[i]; i++) {
                KC_CLEANUP(kc_freep) char *container = container_name(images[i]);
                struct json_object *c = kc_json_build("{'image':%s,'name':%s}", images[i], container);
                add_command(c, i == 0 ? command : NULL);
                if (i == 0 && port >= 0)
                        kc_json_set(c, "ports", kc_json_build("[{'containerPort':%lld}]", (long long)port));
                kc_json_push(containers, c);
        }
        return kc_json_build("{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'labels':{'app':%s},'name':%s},"
                             "'spec':{'replicas':%lld,'selector':{'matchLabels':{'app':%s}},"
                             "'template':{'metadata':{'labels':{'app':%s}},'spec':{'containers':%o}}}}",
            name, name, (long long)replicas, name, name, containers);
}

static struct json_object *pod_template(const char *name, const char *image, const char *restart, char *const *command)
{
        struct json_object *container = kc_json_build("{'name':%s,'image':%s}", name, image);
        add_command(container, command);
        return kc_json_build("{'spec':{'containers':[%o],'restartPolicy':%s}}", container, restart);
}

struct json_object *kc_generate_job(const char *name, const char *image, char *const *command)
{
        return kc_json_build("{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':%s},'spec':{'template':%o}}",
            name, pod_template(name, image, "Never", command));
}

struct json_object *kc_generate_job_from(const char *name, const struct json_object *cron_job)
{
        const struct json_object *template = kc_json_at(cron_job, "spec.jobTemplate");
        const struct json_object *meta = kc_json_get(template, "metadata");
        struct json_object *job = kc_json_build(
            "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':%s,"
            "'annotations':{'cronjob.kubernetes.io/instantiate':'manual'},"
            "'ownerReferences':[{'apiVersion':'batch/v1','kind':'CronJob','name':%s,'uid':%s,'controller':true}]}}",
            name, kc_json_str_at(cron_job, "metadata.name"), kc_json_str_at(cron_job, "metadata.uid"));
        struct json_object *into = kc_json_get_mut(job, "metadata");
        KC_JSON_FOREACH(kc_json_get(meta, "annotations"), key, val)
        {
                kc_json_set(kc_json_get_mut(into, "annotations"), key, kc_json_copy(val));
        }
        if (kc_json_get(meta, "labels"))
                kc_json_set(into, "labels", kc_json_copy(kc_json_get(meta, "labels")));
        kc_json_set(job, "spec", kc_json_copy(kc_json_get(template, "spec")));
        return job;
}

struct json_object *kc_generate_cron_job(
    const char *name, const char *image, const char *schedule, const char *restart, char *const *command)
{
        return kc_json_build("{'apiVersion':'batch/v1','kind':'CronJob','metadata':{'name':%s},'spec':{'schedule':%s,"
                             "'jobTemplate':{'metadata':{'name':%s},'spec':{'template':%o}}}}",
            name, schedule, name, pod_template(name, image, kc_str_empty(restart) ? "OnFailure" : restart, command));
}
