/* Host names of pods and their hosts files. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/podfiles/podfiles.h"

enum { HOSTNAME_MAX = 63, FQDN_MAX = 64, HOSTS_FILE_MAX = 16 * 1024 * 1024 };

static bool is_dns_label(const char *s)
{
        size_t n = strlen(s);
        if (n == 0 || n > HOSTNAME_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool alnum = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]);
                if (!alnum && (s[i] != '-' || i == 0 || i == n - 1))
                        return false;
        }
        return true;
}

static void truncate_hostname(char *s)
{
        size_t n = strlen(s);
        if (n <= HOSTNAME_MAX)
                return;
        n = HOSTNAME_MAX;
        while (n > 0 && (s[n - 1] == '-' || s[n - 1] == '.'))
                n--;
        s[n] = '\0';
}

static int check_label(const char *what, const char *s, struct kc_error *err)
{
        if (kc_str_empty(s) || is_dns_label(s))
                return 0;
        return kc_error_set(err, EINVAL,
            "pod %s \"%s\" is not a valid DNS label: a lowercase RFC 1123 label must consist of lower case "
            "alphanumeric "
            "characters or '-', and must start and end with an alphanumeric character",
            what, s);
}

int kc_pod_hostname(const struct json_object *pod, const char *node_name, const char *cluster_domain,
    char **ret_hostname, char **ret_domain, struct kc_error *err)
{
        const char *override = kc_json_str_at(pod, "spec.hostnameOverride");
        const char *given = kc_json_str_at(pod, "spec.hostname"), *sub = kc_json_str_at(pod, "spec.subdomain");
        if (!kc_str_empty(override)) {
                *ret_hostname = kc_strdup(override);
                *ret_domain = kc_strdup("");
                return 0;
        }
        int r = check_label("Hostname", given, err);
        if (r == 0)
                r = check_label("Subdomain", sub, err);
        if (r < 0)
                return r;
        if (kc_pod_is_host_network(pod)) {
                *ret_hostname = kc_strdup(node_name);
                *ret_domain = kc_strdup("");
                return 0;
        }
        KC_CLEANUP(kc_freep) char *hostname = kc_strdup(kc_str_empty(given) ? kc_meta_name(pod) ?: "" : given);
        truncate_hostname(hostname);
        KC_CLEANUP(kc_freep)
        char *domain = kc_str_empty(sub) ? kc_strdup("")
                                         : kc_asprintf("%s.%s.svc.%s", sub, kc_meta_namespace(pod) ?: "default",
                                               cluster_domain ?: "");
        if (kc_json_bool_at(pod, "spec.setHostnameAsFQDN", false) && *domain) {
                KC_CLEANUP(kc_freep) char *fqdn = kc_asprintf("%s.%s", hostname, domain);
                if (strlen(fqdn) > FQDN_MAX)
                        return kc_error_set(err, EINVAL,
                            "failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d "
                            "characters is the max, %zu characters requested)",
                            fqdn, FQDN_MAX, strlen(fqdn));
                kc_free(hostname);
                hostname = KC_TAKE(fqdn);
        }
        *ret_hostname = KC_TAKE(hostname);
        *ret_domain = KC_TAKE(domain);
        return 0;
}

/* --- The hosts file */

static void add_aliases(struct kc_buf *b, const struct json_object *aliases)
{
        if (kc_json_len(aliases) == 0)
                return;
        kc_buf_adds(b, "\n# Entries added by HostAliases.\n");
        for (size_t i = 0; i < kc_json_len(aliases); i++) {
                const struct json_object *a = kc_json_idx(aliases, i);
                const struct json_object *names = kc_json_get(a, "hostnames");
                kc_buf_adds(b, kc_json_str(a, "ip") ?: "");
                for (size_t n = 0; n < kc_json_len(names); n++)
                        kc_buf_addf(b, "\t%s", kc_json_as_str(kc_json_idx(names, n)) ?: "");
                kc_buf_addc(b, '\n');
        }
}

static void add_managed(struct kc_buf *b, char *const *pod_ips, const char *hostname, const char *domain)
{
        kc_buf_adds(b, "# Kubernetes-managed hosts file.\n"
                       "127.0.0.1\tlocalhost\n"
                       "::1\tlocalhost ip6-localhost ip6-loopback\n"
                       "fe00::0\tip6-localnet\n"
                       "fe00::0\tip6-mcastprefix\n"
                       "fe00::1\tip6-allnodes\n"
                       "fe00::2\tip6-allrouters\n");
        /* With setHostnameAsFQDN the host name has the domain already. */
        KC_CLEANUP(kc_freep) char *suffix = kc_asprintf(".%s", domain);
        KC_CLEANUP(kc_freep) char *name = kc_strdup(hostname);
        if (*domain && kc_str_has_suffix(name, suffix))
                name[strlen(name) - strlen(suffix)] = '\0';
        for (size_t i = 0; pod_ips && pod_ips[i]; i++) {
                if (*domain)
                        kc_buf_addf(b, "%s\t%s.%s\t%s\n", pod_ips[i], name, domain, name);
                else
                        kc_buf_addf(b, "%s\t%s\n", pod_ips[i], name);
        }
}

/* In place: containers have the file itself mounted, so that a new one would not be seen by them. */
static int write_in_place(const char *path, const struct kc_buf *b, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0 || fchmod(fd, 0644) < 0)
                return kc_error_set(err, errno, "open %s: %s", path, strerror(errno));
        size_t done = 0;
        while (done < b->len) {
                ssize_t n = write(fd, b->data + done, b->len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return kc_error_set(err, errno, "write %s: %s", path, strerror(errno));
                done += (size_t)n;
        }
        if (ftruncate(fd, (off_t)b->len) < 0)
                return kc_error_set(err, errno, "truncate %s: %s", path, strerror(errno));
        return 0;
}

int kc_pod_hosts_write(const char *path, char *const *pod_ips, const char *hostname, const char *domain,
    const struct json_object *host_aliases, bool host_network, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT, old = KC_BUF_INIT;
        if (host_network) {
                kc_buf_adds(&b, "# Kubernetes-managed hosts file (host network).\n");
                int r = kc_file_read("/etc/hosts", HOSTS_FILE_MAX, &b, err);
                if (r < 0)
                        return r;
        } else {
                add_managed(&b, pod_ips, hostname, domain);
        }
        add_aliases(&b, host_aliases);
        if (kc_file_read(path, HOSTS_FILE_MAX, &old, NULL) == 0 && old.len == b.len &&
            memcmp(old.data, b.data, b.len) == 0)
                return 0;
        return write_in_place(path, &b, err);
}
