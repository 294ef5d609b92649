/* gRPC probes: grpc.health.v1.Health/Check. Blocks: worker threads; the channel's I/O is on the loop. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel.h"
#include "kubelet/prober/prober_internal.h"
#include "prober/health.pb-c.h"

static void free_channel(void *channel)
{
        kc_grpc_channel_free(channel);
}

/* What a call that failed is called upstream. Heap. */
static char *describe(enum kc_grpc_code code, const char *host, int port, int timeout_ms, const struct kc_error *err)
{
        char timeout[KC_TIME_LEN];
        kc_duration_format(timeout_ms * KC_MSEC, timeout);
        KC_CLEANUP(kc_freep) char *address = kc_probe_host_port(host, port);
        if (code == KC_GRPC_UNIMPLEMENTED)
                return kc_asprintf(
                    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s",
                    kc_error_message(err));
        /* Was it the connection that did not come? */
        if ((code == KC_GRPC_UNAVAILABLE || code == KC_GRPC_DEADLINE_EXCEEDED) &&
            kc_probe_dial(host, port, timeout_ms, NULL) < 0)
                return kc_asprintf(
                    "timeout: failed to connect service \"%s\" within %s: context deadline exceeded", address, timeout);
        if (code == KC_GRPC_DEADLINE_EXCEEDED)
                return kc_asprintf("timeout: health rpc did not complete within %s", timeout);
        return kc_asprintf("error: health rpc probe failed: %s", kc_error_message(err));
}

static enum kc_probe_result judge(const ProtobufCMessage *message, char **ret_output)
{
        const Grpc__Health__V1__HealthCheckResponse *resp = (const void *)message;
        if (resp->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING) {
                *ret_output = kc_strdup("service healthy");
                return KC_PROBE_SUCCESS;
        }
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
            &grpc__health__v1__health_check_response__serving_status__descriptor, (int)resp->status);
        *ret_output = kc_asprintf("service unhealthy (responded with \"%s\")", v ? v->name : "UNKNOWN");
        return KC_PROBE_FAILURE;
}

enum kc_probe_result kc_probe_grpc(
    const struct kc_probe_env *e, const struct json_object *action, int timeout_ms, char **ret_output)
{
        int port = (int)kc_json_int(action, "port", 0);
        KC_CLEANUP(kc_freep) char *address = kc_probe_host_port(e->pod_ip, port);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("http://%s", address);
        char *const endpoints[] = {url, NULL};
        char *const metadata[] = {(char *)"user-agent", (char *)KC_PROBE_USER_AGENT, NULL};
        struct kc_grpc_channel_opts o = {
            .endpoints = endpoints, .metadata = metadata, .connect_timeout_ms = timeout_ms};
        struct kc_grpc_channel *channel = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_grpc_channel_new(e->loop, &o, &channel, &err) < 0) {
                *ret_output = kc_strdup(kc_error_message(&err));
                return KC_PROBE_UNKNOWN;
        }
        Grpc__Health__V1__HealthCheckRequest req = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        req.service = (char *)(kc_json_str(action, "service") ?: "");
        ProtobufCMessage *resp = NULL;
        enum kc_grpc_code code = KC_GRPC_UNKNOWN;
        enum kc_probe_result result = KC_PROBE_FAILURE;
        if (kc_grpc_call(channel, "/grpc.health.v1.Health/Check", &req.base,
                &grpc__health__v1__health_check_response__descriptor, timeout_ms, false, &resp, &code, &err) < 0) {
                *ret_output = describe(code, e->pod_ip, port, timeout_ms, &err);
        } else {
                result = judge(resp, ret_output);
                protobuf_c_message_free_unpacked(resp, NULL);
        }
        kc_loop_post(e->loop, free_channel, channel);
        return result;
}
