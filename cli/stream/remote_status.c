/* The error stream of exec and attach. Any thread. */
#include <errno.h>

#include "base/str.h"
#include "cli/stream/remote.h"

static int exit_code(const struct json_object *status, int *ret_code, struct kc_error *err)
{
        const struct json_object *details = kc_json_get(status, "details");
        if (!details)
                return kc_error_set(err, EREMOTEIO, "error stream protocol error: details must be set");
        const struct json_object *cause = kc_json_find(kc_json_get(details, "causes"), "reason", "ExitCode");
        const char *text = kc_json_str(cause, "message");
        uint64_t code;
        if (!cause)
                return kc_error_set(err, EREMOTEIO, "error stream protocol error: no ExitCode cause given");
        if (!text || kc_str_to_u64(text, &code) < 0 || code > UINT8_MAX)
                return kc_error_set(
                    err, EREMOTEIO, "error stream protocol error: invalid exit code value \"%s\"", text ? text : "");
        *ret_code = (int)code;
        return 0;
}

int kc_remote_decode_status(const char *text, size_t len, int *ret_code, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = NULL;
        struct kc_error why = KC_ERROR_INIT;
        if (kc_json_parse(text, len, NULL, &status, &why) < 0) {
                (void)kc_error_set(err, EREMOTEIO, "error stream protocol error: %s in \"%.*s\"",
                    kc_error_message(&why), (int)KC_MIN(len, (size_t)INT16_MAX), text);
                kc_error_done(&why);
                return -EREMOTEIO;
        }
        const char *state = kc_json_str(status, "status"), *message = kc_json_str(status, "message");
        if (kc_streq(state, "Success")) {
                *ret_code = 0;
                return 0;
        }
        if (!kc_streq(state, "Failure"))
                return kc_error_set(err, EREMOTEIO, "error stream protocol error: unknown error");
        if (kc_streq(kc_json_str(status, "reason"), "NonZeroExitCode"))
                return exit_code(status, ret_code, err);
        return kc_error_set(err, ECHILD, "%s", message ? message : "");
}
