/* Reading of HTTP/1.1 responses. As strict as Go's net/http, whose words for errors it uses. No I/O, any thread. */
#include "http/h1_response.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum {
        MAX_FIELDS = 1000,
        MAX_CHUNK_OVERHEAD = 1024 * 1024, /* extensions and trailers of a body, however long a watch is */
        SHOWN = 64,                       /* of a bad line */
};

enum { STATUS, FIELDS, BODY_LENGTH, BODY_CHUNKED, BODY_EOF, OVER };

void http_h1_response_done(struct http_h1_response *r)
{
        kc_buf_done(&r->line);
        kc_strv_free(r->headers);
        r->headers = NULL;
}

bool http_h1_response_begun(const struct http_h1_response *r)
{
        return r->head_bytes > 0;
}

static int malformed(struct kc_error *err, const char *what, const char *line)
{
        return kc_error_set(
            err, EPROTO, "net/http: HTTP/1.x transport connection broken: %s \"%.*s\"", what, SHOWN, line);
}

/* --- Lines */

static int status_line(struct http_h1_response *r, const char *line, struct kc_error *err)
{
        bool ok = kc_str_has_prefix(line, "HTTP/1.") && isdigit((unsigned char)line[7]) && line[8] == ' ';
        for (int i = 9; ok && i < 12; i++)
                ok = isdigit((unsigned char)line[i]);
        if (!ok || (line[12] && line[12] != ' ') || line[9] == '0')
                return malformed(err, "malformed HTTP response", line);
        r->minor = line[7] - '0';
        r->code = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
        r->state = FIELDS;
        return 0;
}

static bool is_token(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (!isalnum((unsigned char)s[i]) && !memchr("!#$%&'*+-.^_`|~", s[i], 15))
                        return false;
        return len > 0;
}

static bool is_text(const char *s)
{
        for (; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return false;
        return true;
}

static int too_many_fields(struct kc_error *err)
{
        return kc_error_set(err, EMSGSIZE, "net/http: server response has more than %d headers", MAX_FIELDS);
}

/* A line that begins with a blank goes on the one before (obsolete, but Go takes it). */
static int folded(struct http_h1_response *r, const char *line, struct kc_error *err)
{
        size_t n = r->headers ? kc_strv_len(r->headers) : 0;
        if (n == 0 || !is_text(line))
                return malformed(err, "malformed MIME header line", line);
        /* Each copies the whole field again. */
        if (++r->n_fields > MAX_FIELDS)
                return too_many_fields(err);
        KC_CLEANUP(kc_freep) char *more = kc_str_trim(line);
        char *joined = kc_asprintf("%s %s", r->headers[n - 1], more);
        kc_free(r->headers[n - 1]);
        r->headers[n - 1] = joined;
        return 0;
}

static int field_line(struct http_h1_response *r, const char *line, struct kc_error *err)
{
        if (*line == ' ' || *line == '\t')
                return folded(r, line, err);
        const char *colon = strchr(line, ':');
        if (!colon || !is_token(line, (size_t)(colon - line)) || !is_text(colon + 1))
                return malformed(err, "malformed MIME header line", line);
        if (++r->n_fields > MAX_FIELDS)
                return too_many_fields(err);
        char *name = kc_strndup(line, (size_t)(colon - line));
        for (char *p = name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        kc_strv_push_take(&r->headers, name);
        kc_strv_push_take(&r->headers, kc_str_trim(colon + 1));
        return 0;
}

/* --- The end of the head decides about the body */

static bool has_word(const char *list, const char *word)
{
        size_t len = strlen(word);
        for (const char *p = list; *p;) {
                p += strspn(p, " \t,");
                size_t n = strcspn(p, ",");
                size_t trimmed = n;
                while (trimmed && (p[trimmed - 1] == ' ' || p[trimmed - 1] == '\t'))
                        trimmed--;
                if (trimmed == len && strncasecmp(p, word, len) == 0)
                        return true;
                p += n;
        }
        return false;
}

static int content_length(const char *text, uint64_t *ret, struct kc_error *err)
{
        for (const char *p = text; *p; p++)
                if (!isdigit((unsigned char)*p))
                        return malformed(err, "bad Content-Length", text);
        if (kc_str_to_u64(text, ret) < 0)
                return malformed(err, "bad Content-Length", text);
        return 0;
}

struct framing {
        bool chunked, has_length, close, keep_alive;
        uint64_t length;
};

static int read_framing(const struct http_h1_response *r, struct framing *f, struct kc_error *err)
{
        for (size_t i = 0; r->headers && r->headers[i]; i += 2) {
                const char *name = r->headers[i], *value = r->headers[i + 1];
                if (kc_streq(name, "transfer-encoding") && r->minor > 0) {
                        if (!kc_strcaseeq(value, "chunked") || f->chunked)
                                return malformed(err, "unsupported transfer encoding:", value);
                        f->chunked = true;
                } else if (kc_streq(name, "content-length")) {
                        uint64_t n;
                        int e = content_length(value, &n, err);
                        if (e < 0)
                                return e;
                        if (f->has_length && n != f->length)
                                return malformed(
                                    err, "http: message cannot contain multiple Content-Length headers;", value);
                        f->has_length = true;
                        f->length = n;
                } else if (kc_streq(name, "connection")) {
                        f->close |= has_word(value, "close");
                        f->keep_alive |= has_word(value, "keep-alive");
                }
        }
        return 0;
}

static int end_of_head(struct http_h1_response *r, enum http_h1_event *ret_event, struct kc_error *err)
{
        if (r->code == 101 && !r->may_switch)
                return malformed(err, "unexpected answer", "101 Switching Protocols");
        if (r->code < 200 && r->code != 101) { /* the answer is still to come */
                kc_strv_free(r->headers);
                r->headers = NULL;
                r->n_fields = 0;
                r->state = STATUS;
                return 0;
        }
        struct framing f = {0};
        int e = read_framing(r, &f, err);
        if (e < 0)
                return e;
        /* Both framings at once are how responses are smuggled: chunked counts, and it was the last on its connection.
         */
        r->keep_alive = (r->minor > 0 ? !f.close : f.keep_alive && !f.close) && !(f.chunked && f.has_length);
        *ret_event = HTTP_H1_HEAD;
        r->left = f.length;
        if (r->is_head || r->code == 101 || r->code == 204 || r->code == 304 ||
            (f.has_length && !f.chunked && f.length == 0)) {
                r->state = OVER;
        } else if (f.chunked) {
                r->state = BODY_CHUNKED;
                r->chunked = (struct http_chunked){.max_overhead = MAX_CHUNK_OVERHEAD};
        } else if (f.has_length) {
                r->state = BODY_LENGTH;
        } else {
                r->state = BODY_EOF;
                r->keep_alive = false;
        }
        return 0;
}

static int head_line(struct http_h1_response *r, enum http_h1_event *ret_event, struct kc_error *err)
{
        const char *line = kc_buf_str(&r->line);
        if (strlen(line) != r->line.len)
                return malformed(
                    err, r->state == STATUS ? "malformed HTTP response" : "malformed MIME header line", line);
        int e;
        if (r->state == STATUS)
                e = status_line(r, line, err);
        else if (*line)
                e = field_line(r, line, err);
        else
                e = end_of_head(r, ret_event, err);
        kc_buf_reset(&r->line);
        return e;
}

/* --- Steps */

static int head_step(struct http_h1_response *r, const char *data, size_t len, size_t *ret_used,
    enum http_h1_event *ret_event, struct kc_error *err)
{
        size_t used = 0;
        while (used < len && *ret_event == HTTP_H1_MORE) {
                const char *lf = memchr(data + used, '\n', len - used);
                size_t part = lf ? (size_t)(lf - (data + used)) + 1 : len - used;
                r->head_bytes += part;
                if (r->head_bytes > r->max_head)
                        return kc_error_set(err, EMSGSIZE,
                            "net/http: server response headers exceeded %zu bytes; aborted", r->max_head);
                kc_buf_add(&r->line, data + used, part);
                used += part;
                if (!lf)
                        break;
                size_t end = r->line.len - 1;
                if (end && r->line.data[end - 1] == '\r')
                        end--;
                r->line.len = end;
                r->line.data[end] = '\0';
                int e = head_line(r, ret_event, err);
                if (e < 0)
                        return e;
        }
        *ret_used = used;
        if (*ret_event == HTTP_H1_HEAD)
                kc_buf_done(&r->line);
        return 0;
}

static int chunked_step(struct http_h1_response *r, const char *data, size_t len, size_t *ret_used,
    enum http_h1_event *ret_event, const char **ret_piece, size_t *ret_piece_len, struct kc_error *err)
{
        bool done = false;
        ssize_t used = http_chunked_step(&r->chunked, data, len, ret_piece, ret_piece_len, &done);
        if (used < 0)
                return kc_error_set(err, EBADMSG, "malformed chunked encoding");
        *ret_used = (size_t)used;
        if (done)
                r->state = OVER;
        *ret_event = *ret_piece_len ? HTTP_H1_BODY : done ? HTTP_H1_END : HTTP_H1_MORE;
        return 0;
}

int http_h1_response_step(struct http_h1_response *r, const char *data, size_t len, size_t *ret_used,
    enum http_h1_event *ret_event, const char **ret_piece, size_t *ret_piece_len, struct kc_error *err)
{
        *ret_used = 0;
        *ret_event = HTTP_H1_MORE;
        *ret_piece = NULL;
        *ret_piece_len = 0;
        switch (r->state) {
        case STATUS:
        case FIELDS:
                return head_step(r, data, len, ret_used, ret_event, err);
        case BODY_CHUNKED:
                return chunked_step(r, data, len, ret_used, ret_event, ret_piece, ret_piece_len, err);
        case OVER:
                *ret_event = HTTP_H1_END;
                return 0;
        default:
                *ret_piece = data;
                *ret_piece_len = *ret_used = r->state == BODY_LENGTH && r->left < len ? (size_t)r->left : len;
                if (*ret_piece_len)
                        *ret_event = HTTP_H1_BODY;
                if (r->state == BODY_LENGTH && (r->left -= *ret_piece_len) == 0)
                        r->state = OVER;
                return 0;
        }
}

int http_h1_response_eof(const struct http_h1_response *r, struct kc_error *err)
{
        if (r->state == BODY_EOF || r->state == OVER)
                return 0;
        return kc_error_set(err, ECONNRESET, "%s", http_h1_response_begun(r) ? "unexpected EOF" : "EOF");
}
