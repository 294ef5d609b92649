/* Probes and lifecycle hooks of containers. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static void exec_action(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        if (kc_json_len(kc_json_get(a, "command")) == 0)
                kc_v_required(v, V_CHILD(p, "command"), "");
}

static void http_get_action(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
        const char *scheme = kc_v_str(a, "scheme");
        if (!*kc_v_str(a, "path"))
                kc_v_required(v, V_CHILD(p, "path"), "");
        kc_v_port_number_or_name(v, V_CHILD(p, "port"), kc_json_get(a, "port"));
        if (!kc_v_in(scheme, schemes))
                kc_v_not_supported(v, V_CHILD(p, "scheme"), scheme, schemes);
        const struct json_object *headers = kc_json_get(a, "httpHeaders");
        for (size_t i = 0; i < kc_json_len(headers); i++)
                kc_v_name(v, V_CHILD(p, "httpHeaders"), kc_v_str(kc_json_idx(headers, i), "name"), kc_name_http_header);
}

static void port_action(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        kc_v_port_number_or_name(v, V_CHILD(p, "port"), kc_json_get(a, "port"));
}

static const struct {
        const char *name;
        void (*check)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *action);
} actions[] = {{"exec", exec_action}, {"httpGet", http_get_action}, {"tcpSocket", port_action}, {"grpc", port_action}};

static void sleep_action(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *a, const struct json_object *spec)
{
        int64_t seconds = kc_json_int(a, "seconds", 0), grace = kc_json_int(spec, "terminationGracePeriodSeconds", -1);
        if (!kc_json_get(spec, "terminationGracePeriodSeconds") || (seconds >= 0 && seconds <= grace))
                return;
        KC_CLEANUP(kc_freep)
        char *detail =
            kc_asprintf("must be non-negative and less than terminationGracePeriodSeconds (%lld)", (long long)grace);
        kc_v_invalid_int(v, p, seconds, detail);
}

static void handler(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *h, const struct json_object *spec)
{
        static const char *const too_many = "may not specify more than 1 handler type";
        bool found = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(actions); i++) {
                const struct json_object *action = kc_json_get(h, actions[i].name);
                if (action && found)
                        kc_v_forbidden(v, V_CHILD(p, actions[i].name), too_many);
                else if (action)
                        actions[i].check(v, V_CHILD(p, actions[i].name), action);
                found |= action != NULL;
        }
        const struct json_object *sleep = kc_json_get(h, "sleep");
        if (sleep && found)
                kc_v_forbidden(v, V_CHILD(p, "sleep"), too_many);
        else if (sleep)
                sleep_action(v, V_CHILD(p, "sleep"), sleep, spec);
        else if (!found)
                kc_v_required(v, p, "must specify a handler type");
}

static void probe(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const struct json_object *spec)
{
        static const char *const numbers[] = {
            "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"};
        handler(v, p, o, spec);
        for (size_t i = 0; i < KC_ARRAY_LEN(numbers); i++)
                kc_v_nonnegative(v, p, o, numbers[i]);
        int64_t grace = kc_json_int(o, "terminationGracePeriodSeconds", 1);
        if (grace <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "terminationGracePeriodSeconds"), grace, "must be greater than 0");
}

void kc_v_probes_and_lifecycle(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, const struct json_object *spec)
{
        static const char *const hooks[] = {"postStart", "preStop"};
        static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
        const struct json_object *lifecycle = kc_json_get(container, "lifecycle");
        for (size_t i = 0; i < KC_ARRAY_LEN(hooks); i++) {
                const struct json_object *hook = kc_json_get(lifecycle, hooks[i]);
                if (hook)
                        handler(v, V_CHILD2(p, "lifecycle", hooks[i]), hook, spec);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(probes); i++) {
                const struct json_object *o = kc_json_get(container, probes[i]);
                const struct kc_vpath *at = V_CHILD(p, probes[i]);
                bool readiness = *probes[i] == 'r';
                if (!o)
                        continue;
                probe(v, at, o, spec);
                int64_t success = kc_json_int(o, "successThreshold", 0);
                if (!readiness && success != 1)
                        kc_v_invalid_int(v, V_CHILD(at, "successThreshold"), success, "must be 1");
                if (readiness && kc_json_get(o, "terminationGracePeriodSeconds"))
                        kc_v_invalid(v, V_CHILD(at, "terminationGracePeriodSeconds"),
                            kc_json_get(o, "terminationGracePeriodSeconds"), "must not be set for readinessProbes");
        }
}
