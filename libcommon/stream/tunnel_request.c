/* What a client's upgrade request says, and what of it a backend gets to see. Any thread. */
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "stream/tunnel.h"
#include "stream/websocket.h"

#define BEARER_PROTOCOL "base64url.bearer.authorization.k8s.io."

bool kc_tunnel_is_upgrade(struct kc_http_req *req)
{
        return kc_http_req_header(req, "Upgrade") && kc_http_list_has(kc_http_req_header(req, "Connection"), "upgrade");
}

enum kc_tunnel_mode kc_tunnel_mode_of(struct kc_http_req *req, bool remote_command)
{
        const char *protocols = kc_http_req_header(req, "Sec-WebSocket-Protocol");
        if (!kc_ws_is_request(kc_http_req_header(req, "Upgrade"), kc_http_req_header(req, "Connection")))
                return KC_TUNNEL_RAW;
        if (remote_command && kc_http_list_has(protocols, KC_REMOTE_V5))
                return KC_TUNNEL_REMOTE_COMMAND;
        if (!remote_command && kc_http_list_has(protocols, KC_PORT_FORWARD_TUNNEL))
                return KC_TUNNEL_PORT_FORWARD;
        return KC_TUNNEL_RAW;
}

/* Subprotocols without those that carry a token; NULL: none is left. */
static char *without_bearer(const char *protocols)
{
        KC_CLEANUP(kc_strv_freep) char **all = kc_strv_split(protocols, ',');
        KC_CLEANUP(kc_strv_freep) char **kept = NULL;
        for (size_t i = 0; all[i]; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_str_trim(all[i]);
                if (*name && !kc_str_has_prefix(name, BEARER_PROTOCOL))
                        kc_strv_push(&kept, name);
        }
        return kept ? kc_strv_join(kept, ", ") : NULL;
}

static bool is_ours(const char *name)
{
        static const char *const names[] = {"host", "authorization", "content-length", "transfer-encoding", "te",
            "trailer", "keep-alive", "proxy-authorization", "proxy-connection", "x-remote-user", "x-remote-uid",
            "x-remote-group", "expect"};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return kc_str_has_prefix(name, "impersonate-") || kc_str_has_prefix(name, "x-remote-extra-");
}

static void push(char ***v, const char *name, const char *value)
{
        kc_strv_push(v, name);
        kc_strv_push(v, value);
}

char **kc_tunnel_headers(struct kc_http_req *req, enum kc_tunnel_mode mode)
{
        const char *name, *value;
        char **v = NULL;
        bool translated = mode != KC_TUNNEL_RAW;
        for (size_t i = 0; kc_http_req_header_at(req, i, &name, &value); i++) {
                if (is_ours(name))
                        continue;
                if (translated && (kc_str_has_prefix(name, "sec-websocket-") || strcmp(name, "upgrade") == 0 ||
                                      strcmp(name, "connection") == 0))
                        continue;
                if (strcmp(name, "sec-websocket-protocol") == 0) {
                        KC_CLEANUP(kc_freep) char *kept = without_bearer(value);
                        if (kept)
                                push(&v, name, kept);
                        continue;
                }
                push(&v, name, value);
        }
        if (translated) {
                push(&v, "Connection", "Upgrade");
                push(&v, "Upgrade", "SPDY/3.1");
                push(&v, "X-Stream-Protocol-Version",
                    mode == KC_TUNNEL_REMOTE_COMMAND ? KC_REMOTE_V4 : KC_PORT_FORWARD_V1);
        }
        return v;
}
