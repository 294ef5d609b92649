/* Name servers, search domains and options of pods by their dnsPolicy and dnsConfig. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/podfiles/podfiles.h"

enum { SERVERS_MAX = 3, SEARCHES_MAX = 32, SEARCH_CHARS_MAX = 2048, RESOLV_CONF_MAX = 1024 * 1024 };

void kc_pod_dns_done(struct kc_pod_dns *d)
{
        kc_strv_free(d->servers);
        kc_strv_free(d->searches);
        kc_strv_free(d->options);
        *d = (struct kc_pod_dns){0};
}

static void push_new(char ***v, const char *s)
{
        if (!kc_strv_has(*v, s))
                kc_strv_push(v, s);
}

/* --- /etc/resolv.conf */

static void read_line(struct kc_pod_dns *d, char *line)
{
        char *save, *word = strtok_r(line, " \t\r", &save);
        if (!word || *word == '#' || *word == ';')
                return;
        if (kc_streq(word, "nameserver")) {
                char *server = strtok_r(NULL, " \t\r", &save);
                if (server)
                        kc_strv_push(&d->servers, server);
        } else if (kc_streq(word, "search")) {
                /* The last line wins; a trailing dot says nothing, but "." alone does. */
                kc_strv_free(d->searches);
                d->searches = NULL;
                for (char *s; (s = strtok_r(NULL, " \t\r", &save));) {
                        size_t n = strlen(s);
                        if (n > 1 && s[n - 1] == '.')
                                s[n - 1] = '\0';
                        kc_strv_push(&d->searches, s);
                }
        } else if (kc_streq(word, "options")) {
                for (char *s; (s = strtok_r(NULL, " \t\r", &save));)
                        push_new(&d->options, s);
        }
}

static int read_resolv_conf(const char *path, struct kc_pod_dns *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int r = kc_file_read(path, RESOLV_CONF_MAX, &b, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *text = kc_buf_take_str(&b);
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                read_line(ret, line);
        return 0;
}

/* --- Policies */

static void use_cluster_dns(const struct kc_dns_settings *s, const struct json_object *pod, struct kc_pod_dns *d)
{
        kc_strv_free(d->servers);
        d->servers = kc_strv_copy(s->cluster_dns);
        char **host = KC_TAKE(d->searches);
        if (!kc_str_empty(s->cluster_domain)) {
                kc_strv_pushf(&d->searches, "%s.svc.%s", kc_meta_namespace(pod) ?: "default", s->cluster_domain);
                kc_strv_pushf(&d->searches, "svc.%s", s->cluster_domain);
                kc_strv_push(&d->searches, s->cluster_domain);
        }
        for (size_t i = 0; host && host[i]; i++)
                push_new(&d->searches, host[i]);
        kc_strv_free(host);
        kc_strv_free(d->options);
        d->options = NULL;
        kc_strv_push(&d->options, "ndots:5");
}

/* --resolv-conf "": lookups are to fail, not to go to the host's servers. */
static void disable_lookups(const struct kc_dns_settings *s, struct kc_pod_dns *d)
{
        for (size_t i = 0; s->node_ips && s->node_ips[i]; i++)
                push_new(&d->servers, strchr(s->node_ips[i], ':') ? "::1" : "127.0.0.1");
        if (!d->servers)
                kc_strv_push(&d->servers, "127.0.0.1");
        kc_strv_free(d->searches);
        d->searches = NULL;
        kc_strv_push(&d->searches, ".");
}

static bool same_option(const char *option, const char *name)
{
        size_t n = strlen(name);
        return strncmp(option, name, n) == 0 && (option[n] == '\0' || option[n] == ':');
}

static void merge_option(char ***options, const char *name, const char *value)
{
        char *text = kc_str_empty(value) ? kc_strdup(name) : kc_asprintf("%s:%s", name, value);
        for (size_t i = 0; *options && (*options)[i]; i++)
                if (same_option((*options)[i], name)) {
                        kc_free((*options)[i]);
                        (*options)[i] = text;
                        return;
                }
        kc_strv_push_take(options, text);
}

static void append_config(const struct json_object *config, struct kc_pod_dns *d)
{
        const struct json_object *servers = kc_json_get(config, "nameservers");
        const struct json_object *searches = kc_json_get(config, "searches");
        const struct json_object *options = kc_json_get(config, "options");
        for (size_t i = 0; i < kc_json_len(servers); i++)
                push_new(&d->servers, kc_json_as_str(kc_json_idx(servers, i)) ?: "");
        for (size_t i = 0; i < kc_json_len(searches); i++)
                push_new(&d->searches, kc_json_as_str(kc_json_idx(searches, i)) ?: "");
        for (size_t i = 0; i < kc_json_len(options); i++) {
                const struct json_object *o = kc_json_idx(options, i);
                merge_option(&d->options, kc_json_str(o, "name") ?: "", kc_json_str(o, "value"));
        }
}

/* Keeps the first n. */
static void cut(char **v, size_t n)
{
        for (size_t i = kc_strv_len(v); i > n; i--)
                kc_free(KC_TAKE(v[i - 1]));
}

static void fit_limits(struct kc_pod_dns *d, const struct json_object *pod)
{
        size_t keep = 0, chars = 0;
        for (; d->searches && d->searches[keep] && keep < SEARCHES_MAX; keep++) {
                size_t n = strlen(d->searches[keep]) + (keep > 0);
                if (chars + n > SEARCH_CHARS_MAX)
                        break;
                chars += n;
        }
        if (kc_strv_len(d->searches) > keep || kc_strv_len(d->servers) > SERVERS_MAX)
                kc_log_warn("DNS configuration is beyond the limits, some entries were left out", "pod",
                    kc_meta_name(pod), "servers", kc_log_i64((long long)kc_strv_len(d->servers)), "searches",
                    kc_log_i64((long long)kc_strv_len(d->searches)));
        if (d->searches)
                cut(d->searches, keep);
        if (d->servers)
                cut(d->servers, SERVERS_MAX);
}

enum dns_type { DNS_CLUSTER, DNS_HOST, DNS_NONE };

static int type_of(const struct json_object *pod, enum dns_type *ret, struct kc_error *err)
{
        const char *policy = kc_json_str_at(pod, "spec.dnsPolicy") ?: "ClusterFirst";
        if (kc_streq(policy, "None"))
                *ret = DNS_NONE;
        else if (kc_streq(policy, "ClusterFirstWithHostNet"))
                *ret = DNS_CLUSTER;
        else if (kc_streq(policy, "ClusterFirst"))
                *ret = kc_pod_is_host_network(pod) ? DNS_HOST : DNS_CLUSTER;
        else if (kc_streq(policy, "Default"))
                *ret = DNS_HOST;
        else
                return kc_error_set(err, EINVAL, "invalid DNSPolicy=%s", policy);
        return 0;
}

int kc_pod_dns_make(
    const struct kc_dns_settings *s, const struct json_object *pod, struct kc_pod_dns *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_pod_dns_done) struct kc_pod_dns d = {0};
        const char *path = s->resolv_conf ?: "/etc/resolv.conf";
        enum dns_type type = DNS_HOST;
        int r = type_of(pod, &type, err);
        if (r == 0 && *path)
                r = read_resolv_conf(path, &d, err);
        if (r < 0)
                return r;
        bool fell_back = type == DNS_CLUSTER && kc_strv_len(s->cluster_dns) == 0;
        if (type == DNS_NONE)
                kc_pod_dns_done(&d);
        else if (type == DNS_CLUSTER && !fell_back)
                use_cluster_dns(s, pod, &d);
        else if (!*path)
                disable_lookups(s, &d);
        const struct json_object *config = kc_json_at(pod, "spec.dnsConfig");
        if (config)
                append_config(config, &d);
        fit_limits(&d, pod);
        *ret = d;
        ret->fell_back = fell_back;
        d = (struct kc_pod_dns){0};
        return 0;
}
