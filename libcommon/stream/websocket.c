/* Frames of WebSocket. Pure: any thread, one at a time. */
#include "stream/websocket.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

enum { WS_CONTROL_MAX = 125, WS_HEAD_MAX = 14, WS_PIECE = 16 * 1024, WS_CLOSE_CODE = 2 };

struct kc_ws {
        const struct kc_ws_cbs *cbs;
        void *arg;
        bool client;
        /* What is being read. */
        uint8_t head[WS_HEAD_MAX];
        size_t head_len;
        bool in_payload, fin;
        enum kc_ws_opcode op;      /* of the frame */
        enum kc_ws_opcode message; /* of the message that is open; KC_WS_CONTINUATION: none */
        bool message_started;      /* a piece of it has been given out */
        uint64_t left;             /* of the payload */
        uint64_t at;               /* in the payload, for the mask */
        uint8_t mask[4];
        char control[WS_CONTROL_MAX];
        size_t control_len;
        int peer_close;
        bool over, close_sent;
};

struct kc_ws *kc_ws_new(bool client, const struct kc_ws_cbs *cbs, void *arg)
{
        struct kc_ws *ws = KC_NEW(struct kc_ws);
        ws->client = client;
        ws->cbs = cbs;
        ws->arg = arg;
        return ws;
}

void kc_ws_free(struct kc_ws *ws)
{
        kc_free(ws);
}

int kc_ws_peer_close(const struct kc_ws *ws)
{
        return ws->peer_close;
}

/* --- Sending */

static void apply_mask(char *data, size_t len, const uint8_t mask[static 4], uint64_t at)
{
        for (size_t i = 0; i < len; i++)
                data[i] = (char)((uint8_t)data[i] ^ mask[(at + i) & 3]);
}

static void add_frame(struct kc_ws *ws, enum kc_ws_opcode op, const void *head, size_t head_len, const void *data,
    size_t len, struct kc_buf *out)
{
        uint64_t total = head_len + len;
        uint8_t h[WS_HEAD_MAX] = {(uint8_t)(0x80 | op)};
        size_t n = 2;
        if (total <= 125) {
                h[1] = (uint8_t)total;
        } else {
                int bytes = total <= UINT16_MAX ? 2 : 8;
                h[1] = bytes == 2 ? 126 : 127;
                for (int i = bytes - 1; i >= 0; i--)
                        h[n++] = (uint8_t)(total >> (8 * i));
        }
        uint8_t mask[4];
        if (ws->client) {
                kc_rand_bytes(mask, sizeof(mask));
                h[1] |= 0x80;
                memcpy(h + n, mask, sizeof(mask));
                n += sizeof(mask);
        }
        kc_buf_reserve(out, n + (size_t)total);
        kc_buf_add(out, h, n);
        size_t at = out->len;
        if (head_len > 0)
                kc_buf_add(out, head, head_len);
        if (len > 0)
                kc_buf_add(out, data, len);
        if (ws->client)
                apply_mask(out->data + at, out->len - at, mask, 0);
}

void kc_ws_send(struct kc_ws *ws, enum kc_ws_opcode op, const void *head, size_t head_len, const void *data, size_t len,
    struct kc_buf *out)
{
        if (!ws->close_sent)
                add_frame(ws, op, head, head_len, data, len, out);
}

void kc_ws_close(struct kc_ws *ws, int code, const char *reason, struct kc_buf *out)
{
        uint8_t number[WS_CLOSE_CODE] = {(uint8_t)(code >> 8), (uint8_t)code};
        if (ws->close_sent)
                return;
        size_t len = reason ? strlen(reason) : 0;
        if (len > WS_CONTROL_MAX - WS_CLOSE_CODE) {
                len = WS_CONTROL_MAX - WS_CLOSE_CODE;
                while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80) /* not inside a character */
                        len--;
        }
        if (code == KC_WS_CLOSE_NO_STATUS)
                add_frame(ws, KC_WS_CLOSE, NULL, 0, NULL, 0, out);
        else
                add_frame(ws, KC_WS_CLOSE, number, sizeof(number), reason, len, out);
        ws->close_sent = true;
}

/* --- Receiving */

static int broken(struct kc_ws *ws, int code, const char *reason, struct kc_buf *out)
{
        kc_ws_close(ws, code, reason, out);
        ws->over = true;
        return -EPROTO;
}

static bool close_code_ok(int code)
{
        return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
               (code >= 3000 && code <= 4999);
}

static int on_peer_close(struct kc_ws *ws, struct kc_buf *out)
{
        int code = KC_WS_CLOSE_NO_STATUS;
        if (ws->control_len == 1)
                return broken(ws, KC_WS_CLOSE_PROTOCOL, "invalid close payload", out);
        if (ws->control_len >= WS_CLOSE_CODE) {
                code = (uint8_t)ws->control[0] << 8 | (uint8_t)ws->control[1];
                if (!close_code_ok(code))
                        return broken(ws, KC_WS_CLOSE_PROTOCOL, "invalid close code", out);
        }
        ws->peer_close = code;
        kc_ws_close(ws, code, NULL, out); /* the answer, unless we were first */
        ws->over = true;
        return 1;
}

static int on_control(struct kc_ws *ws, struct kc_buf *out)
{
        switch (ws->op) {
        case KC_WS_PING:
                kc_ws_send(ws, KC_WS_PONG, NULL, 0, ws->control, ws->control_len, out);
                return 0;
        case KC_WS_PONG:
                if (ws->cbs->on_pong)
                        ws->cbs->on_pong(ws->control, ws->control_len, ws->arg);
                return 0;
        default:
                return on_peer_close(ws, out);
        }
}

/* How long the head is to be, by what of it is there. */
static size_t head_size(const struct kc_ws *ws)
{
        if (ws->head_len < 2)
                return 2;
        size_t n = 2, len = ws->head[1] & 0x7f;
        n += len == 126 ? 2 : len == 127 ? 8 : 0;
        return n + ((ws->head[1] & 0x80) ? 4 : 0);
}

static uint64_t payload_length(const struct kc_ws *ws, size_t *ret_at)
{
        uint64_t len = ws->head[1] & 0x7f;
        size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
        *ret_at = 2 + bytes;
        if (bytes == 0)
                return len;
        len = 0;
        for (size_t i = 0; i < bytes; i++)
                len = len << 8 | ws->head[2 + i];
        return len;
}

static const char *what_is_wrong(const struct kc_ws *ws, bool masked)
{
        bool control = ws->op >= KC_WS_CLOSE;
        if (ws->head[0] & 0x70)
                return "reserved bits are set";
        if (masked == ws->client)
                return ws->client ? "frame is masked" : "frame is not masked";
        if (ws->op > KC_WS_PONG || (ws->op > KC_WS_BINARY && ws->op < KC_WS_CLOSE))
                return "unknown opcode";
        if (control && (!ws->fin || ws->left > WS_CONTROL_MAX))
                return "control frame is fragmented or too long";
        if (ws->left >> 63)
                return "frame is too long";
        if (ws->op == KC_WS_CONTINUATION && ws->message == KC_WS_CONTINUATION)
                return "continuation without a message";
        if (!control && ws->op != KC_WS_CONTINUATION && ws->message != KC_WS_CONTINUATION)
                return "message inside a message";
        return NULL;
}

static int begin_frame(struct kc_ws *ws, struct kc_buf *out)
{
        size_t at;
        bool masked = ws->head[1] & 0x80;
        ws->fin = ws->head[0] & 0x80;
        ws->op = ws->head[0] & 0x0f;
        ws->left = payload_length(ws, &at);
        ws->at = 0;
        const char *wrong = what_is_wrong(ws, masked);
        if (wrong)
                return broken(ws, KC_WS_CLOSE_PROTOCOL, wrong, out);
        if (masked)
                memcpy(ws->mask, ws->head + at, sizeof(ws->mask));
        if (ws->op == KC_WS_TEXT || ws->op == KC_WS_BINARY) {
                ws->message = ws->op;
                ws->message_started = false;
        }
        ws->in_payload = true;
        ws->head_len = 0;
        ws->control_len = 0;
        return 0;
}

/* A piece of a message's payload, unmasked already. */
static int give(struct kc_ws *ws, const char *data, size_t len, bool last)
{
        enum kc_ws_opcode op = ws->message;
        bool first = !ws->message_started;
        if (len == 0 && !last)
                return 0;
        ws->message_started = true;
        if (last)
                ws->message = KC_WS_CONTINUATION;
        return ws->cbs->on_data(op, data, len, first, last, ws->arg);
}

/* Takes up to len bytes of the payload; returns how many in ret_n. */
static int take_payload(struct kc_ws *ws, const char *data, size_t len, size_t *ret_n, struct kc_buf *out)
{
        char piece[WS_PIECE];
        size_t n = (size_t)KC_MIN(ws->left, (uint64_t)KC_MIN(len, sizeof(piece)));
        memcpy(piece, data, n);
        if (!ws->client)
                apply_mask(piece, n, ws->mask, ws->at);
        ws->at += n;
        ws->left -= n;
        *ret_n = n;
        if (ws->left == 0)
                ws->in_payload = false;
        if (ws->op < KC_WS_CLOSE)
                return give(ws, piece, n, ws->left == 0 && ws->fin);
        memcpy(ws->control + ws->control_len, piece, n);
        ws->control_len += n;
        return ws->left == 0 ? on_control(ws, out) : 0;
}

int kc_ws_feed(struct kc_ws *ws, const char *data, size_t len, struct kc_buf *out)
{
        size_t n;
        int r = 0;
        while (r == 0 && !ws->over && (len > 0 || (ws->in_payload && ws->left == 0))) {
                if (ws->in_payload) {
                        r = take_payload(ws, data, len, &n, out);
                } else {
                        n = KC_MIN(len, head_size(ws) - ws->head_len);
                        memcpy(ws->head + ws->head_len, data, n);
                        ws->head_len += n;
                        if (ws->head_len >= 2 && ws->head_len == head_size(ws))
                                r = begin_frame(ws, out);
                }
                data += n;
                len -= n;
        }
        return r == 0 && ws->over ? 1 : r;
}

/* --- Handshake */

const char *kc_ws_accept(const char *key, char buf[static KC_WS_ACCEPT_LEN])
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned int len = 0;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
        EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
        KC_CLEANUP(kc_freep) char *encoded = kc_base64_encode(digest, len);
        memcpy(buf, encoded, KC_WS_ACCEPT_LEN);
        return buf;
}

const char *kc_ws_key(char buf[static KC_WS_KEY_LEN])
{
        unsigned char nonce[16];
        kc_rand_bytes(nonce, sizeof(nonce));
        KC_CLEANUP(kc_freep) char *encoded = kc_base64_encode(nonce, sizeof(nonce));
        memcpy(buf, encoded, KC_WS_KEY_LEN);
        return buf;
}

bool kc_http_list_has(const char *list, const char *value)
{
        size_t want = value ? strlen(value) : 0;
        while (list && want > 0 && *list) {
                list += strspn(list, " \t,");
                size_t n = strcspn(list, ",");
                size_t used = n;
                while (used > 0 && (list[used - 1] == ' ' || list[used - 1] == '\t'))
                        used--;
                if (used == want && strncasecmp(list, value, want) == 0)
                        return true;
                list += n;
        }
        return false;
}

bool kc_ws_is_request(const char *upgrade, const char *connection)
{
        return kc_strcaseeq(upgrade, "websocket") && kc_http_list_has(connection, "upgrade");
}

int kc_ws_check_request(const char *method, const char *version, const char *key, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf nonce = KC_BUF_INIT;
        if (!kc_streq(method, "GET"))
                return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST, "websocket: the request method is not GET");
        if (!kc_http_list_has(version, "13"))
                return kc_error_set_api(err, 426, KC_REASON_BAD_REQUEST,
                    "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header");
        if (!key || kc_base64_decode(key, strlen(key), &nonce) < 0 || nonce.len != 16)
                return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST,
                    "websocket: not a websocket handshake: 'Sec-WebSocket-Key' header must be Base64 encoded value of "
                    "16-byte in length");
        return 0;
}
