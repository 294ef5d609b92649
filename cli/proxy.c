/* kubec proxy. Main thread; connections are served on the client's loop. */
#include "cli/proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/stream/listen.h"

enum { DEFAULT_PORT = 8001, BAD_PATTERN = 255 };

static struct {
        char *address, *www, *www_prefix, *api_prefix, *accept_paths, *reject_paths, *accept_hosts, *reject_methods,
            *path;
        bool disable_filter, append_path;
        int64_t port, keepalive;
} opt = {.port = DEFAULT_PORT};

static const struct kc_flag flags[] = {
    {"port", 'p', KC_FLAG_INT64, &opt.port, "the port to listen on; 0: any free one", "Proxy"},
    {"address", 0, KC_FLAG_STRING, &opt.address, "the address to listen on (127.0.0.1)", "Proxy"},
    {"unix-socket", 'u', KC_FLAG_STRING, &opt.path, "listen on this path instead", "Proxy"},
    {"www", 'w', KC_FLAG_STRING, &opt.www, "serve the files of this directory, too", "Proxy"},
    {"www-prefix", 'P', KC_FLAG_STRING, &opt.www_prefix, "where they are (/static/)", "Proxy"},
    {"api-prefix", 0, KC_FLAG_STRING, &opt.api_prefix, "where the API is (/)", "Proxy"},
    {"accept-paths", 0, KC_FLAG_STRING, &opt.accept_paths, "patterns of paths to pass on (^.*)", "Proxy"},
    {"reject-paths", 0, KC_FLAG_STRING, &opt.reject_paths, "patterns of paths to refuse (exec and attach)", "Proxy"},
    {"accept-hosts", 0, KC_FLAG_STRING, &opt.accept_hosts, "patterns of hosts to serve (this machine's names)",
        "Proxy"},
    {"reject-methods", 0, KC_FLAG_STRING, &opt.reject_methods, "patterns of methods to refuse (^$)", "Proxy"},
    {"disable-filter", 0, KC_FLAG_BOOL, &opt.disable_filter, "pass everything on: dangerous", "Proxy"},
    {"append-server-path", 0, KC_FLAG_BOOL, &opt.append_path, "put the path of the server's URL in front of each",
        "Proxy"},
    {"keepalive", 0, KC_FLAG_DURATION, &opt.keepalive, "accepted for compatibility", "Proxy"},
};

/* Comma-separated patterns. */
static int compile(struct kc_cli *c, const char *text, const char *by_default, regex_t **ret, size_t *ret_n)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text ? text : by_default, ',');
        *ret = kc_calloc(kc_strv_len(parts) + 1, sizeof(regex_t));
        for (char **p = parts; *p; p++) {
                char why[128];
                int e = regcomp(&(*ret)[*ret_n], *p, REG_EXTENDED | REG_NOSUB);
                if (e == 0) {
                        (*ret_n)++;
                        continue;
                }
                (void)regerror(e, &(*ret)[*ret_n], why, sizeof(why));
                (void)fprintf(c->err, "Error compiling re: error parsing regexp: %s: `%s`\n", why, *p);
                return BAD_PATTERN;
        }
        return 0;
}

static int make_filter(struct kc_cli *c, struct kc_proxy_filter *f)
{
        f->off = opt.disable_filter;
        if (f->off && !opt.path)
                kc_log_warn("Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious");
        int e = f->off ? 0 : compile(c, opt.accept_paths, "^.*", &f->accept_paths, &f->n_accept_paths);
        if (e == 0 && !f->off)
                e = compile(c, opt.reject_paths, "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach", &f->reject_paths,
                    &f->n_reject_paths);
        if (e == 0 && !f->off)
                e = compile(c, opt.accept_hosts, "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$", &f->accept_hosts,
                    &f->n_accept_hosts);
        if (e == 0 && !f->off)
                e = compile(c, opt.reject_methods, "^$", &f->reject_methods, &f->n_reject_methods);
        return e;
}

static void free_patterns(regex_t *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                regfree(&v[i]);
        kc_free(v);
}

static void server_done(struct kc_proxy_server *s)
{
        free_patterns(s->filter.accept_paths, s->filter.n_accept_paths);
        free_patterns(s->filter.reject_paths, s->filter.n_reject_paths);
        free_patterns(s->filter.accept_hosts, s->filter.n_accept_hosts);
        free_patterns(s->filter.reject_methods, s->filter.n_reject_methods);
        http_url_done(&s->url);
        kc_tls_client_free(s->tls);
}

/* "/" at both ends. */
static char *with_slashes(const char *s, const char *by_default)
{
        const char *v = kc_str_empty(s) ? by_default : s;
        return kc_asprintf("%s%s%s", v[0] == '/' ? "" : "/", v, kc_str_has_suffix(v, "/") ? "" : "/");
}

static int connect_to(struct kc_cli *c, struct kc_proxy_server *s, struct kc_error *err)
{
        const struct kc_client_config *k = &c->config;
        int e = kc_cli_rest(c, &s->rest, err);
        if (e == 0)
                e = http_url_parse(k->server, &s->url, err);
        if (e < 0)
                return e;
        s->loop = kc_rest_loop(s->rest);
        s->tls_name = k->tls_server_name;
        if (!s->url.https)
                return 0;
        const struct kc_tls_client_opts o = {.ca_file = k->ca_file,
            .ca_pem = k->ca_pem,
            .cert_file = k->cert_file,
            .cert_pem = k->cert_pem,
            .key_file = k->key_file,
            .key_pem = k->key_pem,
            .server_name = k->tls_server_name,
            .insecure_skip_verify = k->insecure_skip_verify};
        return kc_tls_client_new(&o, &s->tls, err);
}

struct listening {
        const struct kc_proxy_server *s;
        int fd;
        struct kc_io *io;
};

static void on_accept(int fd, int events, void *arg)
{
        (void)events;
        const struct listening *l = arg;
        int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (conn >= 0)
                kc_proxy_accept(l->s, conn);
        else if (errno == EMFILE || errno == ENFILE) {
                struct kc_error err = KC_ERROR_INIT;
                (void)kc_error_set(&err, errno, "accept: %s", strerror(errno));
                kc_log_error(&err, "no connection is accepted any more");
                kc_error_done(&err);
                kc_io_set(l->io, 0);
        }
}

static void start_listening(void *arg)
{
        struct listening *l = arg;
        l->io = kc_io_new(l->s->loop, l->fd, KC_IO_READ, on_accept, l);
}

/* Ends with the process. */
static int serve(struct kc_cli *c, const struct kc_proxy_server *s, struct kc_error *err)
{
        int port = (int)opt.port;
        const char *address = kc_str_empty(opt.address) ? "127.0.0.1" : opt.address;
        struct listening l = {.s = s};
        l.fd = opt.path ? kc_listen_unix(opt.path, err) : kc_listen_tcp("tcp", address, &port, err);
        if (l.fd < 0)
                return l.fd;
        if (opt.path)
                (void)fprintf(c->out, "Starting to serve on %s\n", opt.path);
        else
                (void)fprintf(c->out,
                    strchr(address, ':') ? "Starting to serve on [%s]:%d\n" : "Starting to serve on %s:%d\n", address,
                    port);
        if (fflush(c->out) != 0)
                return kc_cli_write_failed(c);
        kc_loop_call(s->loop, start_listening, &l);
        for (;;)
                (void)pause();
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(server_done) struct kc_proxy_server s = {0};
        struct stat st;
        (void)args; /* as kubectl */
        if (opt.path && kc_cli_flag_given("port") && opt.port != DEFAULT_PORT)
                return kc_error_set(err, EINVAL, "cannot set --unix-socket and --port at the same time");
        if (opt.port < 0 || opt.port > UINT16_MAX)
                return kc_error_set(err, EINVAL, "listen tcp: address %lld: invalid port", (long long)opt.port);
        if (!kc_str_empty(opt.www) && (stat(opt.www, &st) < 0 || !S_ISDIR(st.st_mode)))
                kc_log_warn("Failed to stat static file directory", "path", opt.www, "err", strerror(errno));
        int e = make_filter(c, &s.filter);
        if (e == 0)
                e = connect_to(c, &s, err);
        if (e != 0)
                return e;
        KC_CLEANUP(kc_freep) char *prefix = with_slashes(opt.api_prefix, "/");
        KC_CLEANUP(kc_freep) char *www_path = with_slashes(opt.www_prefix, "/static/");
        s.prefix = prefix;
        s.www = kc_str_empty(opt.www) ? NULL : opt.www;
        s.www_path = www_path;
        s.append_path = opt.append_path;
        return serve(c, &s, err);
}

const struct kc_command kc_cmd_proxy = {.name = "proxy",
    .usage = "proxy [--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix]",
    .summary = "Run a proxy to the Kubernetes API server",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Serves the API on this machine without credentials: requests get those of the kubeconfig. Only names of\n"
        "this machine are served, and neither exec nor attach, unless flags say otherwise.",
    .examples = "# on port 8001\nkubec proxy\n\n# on any free port\nkubec proxy --port=0\n\n"
                "# the API below /k8s-api, files below /static\nkubec proxy --www=web --api-prefix=/k8s-api\n"};
