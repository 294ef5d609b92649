/* /swagger-ui/: a page to browse and try the API. The program is Swagger UI, whose files (npm's swagger-ui-dist) lie in
 * a directory; ours are the page around it and the script that feeds it with the documents below /openapi/v3. Nothing
 * is loaded from elsewhere. Read once, at the start; then any thread. */
#include "server/swagger_ui.h"

#include <errno.h>
#include <string.h>

#include "api/discovery.h"
#include "base/file.h"
#include "base/str.h"

enum { MAX_FILE = 16 << 20 };

static const char page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<title>Kubernetes API</title>\n"
    "<link rel=\"stylesheet\" href=\"swagger-ui.css\">\n"
    "<link rel=\"icon\" type=\"image/png\" href=\"favicon-32x32.png\">\n"
    "</head>\n"
    "<body>\n"
    "<form id=\"login\"><label>Bearer token <input id=\"token\" type=\"password\" size=\"60\"></label>\n"
    "<button>Use</button> <span id=\"problem\"></span></form>\n"
    "<div id=\"ui\"></div>\n"
    "<script src=\"swagger-ui-bundle.js\"></script>\n"
    "<script src=\"swagger-ui-standalone-preset.js\"></script>\n"
    "<script src=\"start.js\"></script>\n"
    "</body>\n"
    "</html>\n";

/* The token stays in the tab. Without one, requests go with what the browser has: a client certificate, or nothing. */
static const char script[] =
    "'use strict';\n"
    "const token = document.getElementById('token');\n"
    "const problem = document.getElementById('problem');\n"
    "token.value = sessionStorage.getItem('token') || '';\n"
    "\n"
    "function credentials() {\n"
    "  return token.value ? {Authorization: 'Bearer ' + token.value} : {};\n"
    "}\n"
    "\n"
    "async function show() {\n"
    "  const answer = await fetch('/openapi/v3', {headers: credentials()});\n"
    "  problem.textContent = answer.ok ? '' : 'GET /openapi/v3: ' + answer.status + ' ' + answer.statusText;\n"
    "  if (!answer.ok)\n"
    "    return;\n"
    "  const paths = (await answer.json()).paths;\n"
    "  const names = Object.keys(paths).filter((name) => /^api.*\\/v[0-9][^/]*$/.test(name)).sort();\n"
    "  SwaggerUIBundle({\n"
    "    dom_id: '#ui',\n"
    "    urls: names.map((name) => ({name, url: paths[name].serverRelativeURL})),\n"
    "    'urls.primaryName': 'api/v1',\n"
    "    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n"
    "    layout: 'StandaloneLayout',\n"
    "    docExpansion: 'none',\n"
    "    filter: true,\n"
    "    validatorUrl: null,\n"
    "    requestInterceptor: (request) => {\n"
    "      Object.assign(request.headers, credentials());\n"
    "      return request;\n"
    "    },\n"
    "  });\n"
    "}\n"
    "\n"
    "document.getElementById('login').addEventListener('submit', (event) => {\n"
    "  event.preventDefault();\n"
    "  sessionStorage.setItem('token', token.value);\n"
    "  show();\n"
    "});\n"
    "show();\n";

static const struct {
        const char *name, *type;
        const char *text; /* NULL: of the package */
} files[] = {
    {"", "text/html; charset=utf-8", page},
    {"start.js", "text/javascript; charset=utf-8", script},
    {"favicon-32x32.png", "image/png", NULL},
    {"swagger-ui.css", "text/css; charset=utf-8", NULL},
    {"swagger-ui-bundle.js", "text/javascript; charset=utf-8", NULL},
    {"swagger-ui-standalone-preset.js", "text/javascript; charset=utf-8", NULL},
};

struct swagger_ui {
        struct document documents[KC_ARRAY_LEN(files)];
};

void swagger_ui_free(struct swagger_ui *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(files); i++) {
                kc_bytes_unref(s->documents[i].bytes);
                kc_free(s->documents[i].etag);
        }
        kc_free(s);
}

int swagger_ui_new(const char *dir, struct swagger_ui **ret, struct kc_error *err)
{
        KC_CLEANUP(swagger_ui_freep) struct swagger_ui *s = KC_NEW(struct swagger_ui);
        for (size_t i = 0; i < KC_ARRAY_LEN(files); i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s", dir, files[i].name);
                char hash[KC_OPENAPI_HASH_LEN];
                int r = 0;
                if (files[i].text)
                        kc_buf_adds(&b, files[i].text);
                else
                        r = kc_file_read(path, MAX_FILE, &b, err);
                if (r < 0)
                        return r;
                s->documents[i].etag = kc_strdup(kc_openapi_hash(b.data, b.len, hash));
                s->documents[i].bytes = kc_bytes_from_buf(&b);
        }
        *ret = KC_TAKE(s);
        return 0;
}

const struct document *swagger_ui_get(const struct swagger_ui *s, const char *name, const char **ret_type)
{
        for (size_t i = 0; s && i < KC_ARRAY_LEN(files); i++) {
                if (kc_streq(files[i].name, name)) {
                        *ret_type = files[i].type;
                        return &s->documents[i];
                }
        }
        return NULL;
}
