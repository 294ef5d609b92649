/* Static files of kubec proxy, as Go's http.FileServer serves them. Any thread. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/cp.h"
#include "cli/proxy.h"

enum { MAX_FILE = 256 << 20 };

void kc_proxy_error(int code, const char *reason, const char *body, struct kc_buf *out)
{
        kc_buf_addf(out,
            "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
            "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
            code, reason, strlen(body), body);
}

static void redirect(const char *to, struct kc_buf *out)
{
        kc_buf_addf(out,
            "HTTP/1.1 301 Moved Permanently\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", to);
}

static const char *type_of(const char *path)
{
        static const struct {
                const char *suffix, *type;
        } types[] = {{".html", "text/html; charset=utf-8"}, {".htm", "text/html; charset=utf-8"},
            {".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
            {".json", "application/json"}, {".txt", "text/plain; charset=utf-8"}, {".svg", "image/svg+xml"},
            {".png", "image/png"}, {".jpg", "image/jpeg"}, {".gif", "image/gif"}, {".ico", "image/x-icon"},
            {".wasm", "application/wasm"}, {".xml", "text/xml; charset=utf-8"}, {".pdf", "application/pdf"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (kc_str_has_suffix(path, types[i].suffix))
                        return types[i].type;
        return "application/octet-stream";
}

static void answer(const char *type, const char *data, size_t len, struct kc_buf *out)
{
        kc_buf_addf(
            out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", type, len);
        kc_buf_add(out, data, len);
}

static void add_html(struct kc_buf *b, const char *text)
{
        for (const char *p = text; *p; p++)
                if (*p == '<')
                        kc_buf_adds(b, "&lt;");
                else if (*p == '>')
                        kc_buf_adds(b, "&gt;");
                else if (*p == '&')
                        kc_buf_adds(b, "&amp;");
                else if (*p == '"')
                        kc_buf_adds(b, "&#34;");
                else
                        kc_buf_addc(b, *p);
}

static void list_dir(const char *full, struct kc_buf *out)
{
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf body = KC_BUF_INIT;
        DIR *d = opendir(full);
        if (!d) {
                kc_proxy_error(500, "Internal Server Error", "Error reading directory\n", out);
                return;
        }
        const struct dirent *e;
        while ((e = readdir(d)))
                if (!kc_streq(e->d_name, ".") && !kc_streq(e->d_name, ".."))
                        kc_strv_pushf(&names, "%s%s", e->d_name, e->d_type == DT_DIR ? "/" : "");
        (void)closedir(d);
        if (names)
                kc_strv_sort(names);
        kc_buf_adds(&body, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n");
        for (char **n = names; n && *n; n++) {
                KC_CLEANUP(kc_freep) char *url = kc_url_escape(*n, true);
                kc_buf_addf(&body, "<a href=\"%s\">", url);
                add_html(&body, *n);
                kc_buf_adds(&body, "</a>\n");
        }
        kc_buf_adds(&body, "</pre>\n");
        answer("text/html; charset=utf-8", body.data, body.len, out);
}

void kc_proxy_file(const char *root, const char *path, const char *url_path, struct kc_buf *out)
{
        struct stat st;
        /* Cleaned as an absolute path, it cannot leave the root. */
        KC_CLEANUP(kc_freep) char *absolute = kc_asprintf("/%s", path);
        KC_CLEANUP(kc_freep) char *clean = kc_cp_clean(absolute);
        KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s%s", root, clean);
        KC_CLEANUP(kc_buf_done) struct kc_buf data = KC_BUF_INIT;
        bool slash = kc_str_has_suffix(absolute, "/");
        if (stat(full, &st) < 0) {
                kc_proxy_error(404, "Not Found", "404 page not found\n", out);
                return;
        }
        if (S_ISDIR(st.st_mode) && !slash) {
                KC_CLEANUP(kc_freep) char *to = kc_asprintf("%s/", strrchr(url_path, '/') + 1);
                redirect(to, out);
                return;
        }
        KC_CLEANUP(kc_freep) char *index = kc_asprintf("%s/index.html", full);
        bool has_index = S_ISDIR(st.st_mode) && access(index, R_OK) == 0;
        if (S_ISDIR(st.st_mode) && !has_index)
                list_dir(full, out);
        else if (kc_file_read(has_index ? index : full, MAX_FILE, &data, NULL) < 0)
                kc_proxy_error(403, "Forbidden", "403 Forbidden\n", out);
        else
                answer(type_of(has_index ? index : full), kc_buf_str(&data), data.len, out);
}
