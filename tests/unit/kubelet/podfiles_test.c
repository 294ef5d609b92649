/* Host names, hosts files and DNS settings of pods. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/podfiles/podfiles.h"

static void assert_hostname(const char *spec, const char *hostname, const char *domain)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            kc_json_build("{'metadata':{'name':'web-0','namespace':'ns'},'spec':%o}", kc_json_build(spec));
        KC_CLEANUP(kc_freep) char *h = NULL;
        KC_CLEANUP(kc_freep) char *d = NULL;
        assert_int_equal(kc_pod_hostname(pod, "node1", "cluster.local", &h, &d, NULL), 0);
        assert_string_equal(h, hostname);
        assert_string_equal(d, domain);
}

static void test_hostname(void **state)
{
        (void)state;
        assert_hostname("{}", "web-0", "");
        assert_hostname("{'hostname':'db'}", "db", "");
        assert_hostname("{'hostname':'db','subdomain':'sub'}", "db", "sub.ns.svc.cluster.local");
        assert_hostname("{'subdomain':'sub','setHostnameAsFQDN':true}", "web-0.sub.ns.svc.cluster.local",
            "sub.ns.svc.cluster.local");
        assert_hostname("{'hostNetwork':true}", "node1", "");
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build("{'metadata':{'name':'x'},'spec':{'hostname':'Bad_'}}");
        char *h, *d;
        assert_int_equal(kc_pod_hostname(pod, "n", "c", &h, &d, NULL), -EINVAL);
        KC_CLEANUP(kc_json_freep)
        struct json_object *longer =
            kc_json_build("{'metadata':{'name':"
                          "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbb'},"
                          "'spec':{}}");
        assert_int_equal(kc_pod_hostname(longer, "n", "c", &h, &d, NULL), 0);
        assert_int_equal(strlen(h), 62); /* cut at 63, and not at a dash */
        kc_free(h);
        kc_free(d);
}

static void test_hosts_file(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-podfiles-XXXXXX";
        assert_non_null(mkdtemp(dir));
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, "etc-hosts");
        char *ips[] = {(char *)"10.1.0.5", NULL};
        KC_CLEANUP(kc_json_freep)
        struct json_object *aliases = kc_json_build("[{'ip':'1.2.3.4','hostnames':['foo','bar']}]");
        assert_int_equal(kc_pod_hosts_write(path, ips, "db", "sub.ns.svc.cluster.local", aliases, false, NULL), 0);
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(path, 65536, &b, NULL), 0);
        assert_string_equal(kc_buf_str(&b), "# Kubernetes-managed hosts file.\n"
                                            "127.0.0.1\tlocalhost\n"
                                            "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                            "fe00::0\tip6-localnet\n"
                                            "fe00::0\tip6-mcastprefix\n"
                                            "fe00::1\tip6-allnodes\n"
                                            "fe00::2\tip6-allrouters\n"
                                            "10.1.0.5\tdb.sub.ns.svc.cluster.local\tdb\n"
                                            "\n# Entries added by HostAliases.\n"
                                            "1.2.3.4\tfoo\tbar\n");
        kc_buf_reset(&b);
        assert_int_equal(kc_pod_hosts_write(path, ips, "db", "", NULL, true, NULL), 0);
        assert_int_equal(kc_file_read(path, 65536, &b, NULL), 0);
        assert_true(kc_str_has_prefix(kc_buf_str(&b), "# Kubernetes-managed hosts file (host network).\n"));
        kc_buf_done(&b);
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
}

struct dns_case {
        const char *spec, *servers, *searches, *options;
        bool no_cluster_dns, fell_back;
};

static void test_dns(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-podfiles-XXXXXX";
        assert_non_null(mkdtemp(dir));
        KC_CLEANUP(kc_freep) char *conf = kc_path_join(dir, "resolv.conf");
        const char *text = "# c\nnameserver 9.9.9.9\nnameserver 8.8.8.8\nsearch old.example\nsearch corp.example. x\n"
                           "options ndots:2 rotate\n";
        assert_int_equal(kc_file_write_atomic(conf, text, strlen(text), 0644, NULL), 0);
        static const struct dns_case cases[] = {
            {"{}", "10.96.0.10", "ns.svc.cluster.local svc.cluster.local cluster.local corp.example x", "ndots:5",
                false, false},
            {"{'hostNetwork':true}", "9.9.9.9 8.8.8.8", "corp.example x", "ndots:2 rotate", false, false},
            {"{'hostNetwork':true,'dnsPolicy':'ClusterFirstWithHostNet'}", "10.96.0.10",
                "ns.svc.cluster.local svc.cluster.local cluster.local corp.example x", "ndots:5", false, false},
            {"{}", "9.9.9.9 8.8.8.8", "corp.example x", "ndots:2 rotate", true, true},
            {"{'dnsPolicy':'None','dnsConfig':{'nameservers':['1.1.1.1'],'searches':['a.b'],'options':[{'name':'ndots',"
             "'value':'1'},{'name':'edns0'}]}}",
                "1.1.1.1", "a.b", "ndots:1 edns0", false, false},
            {"{'dnsConfig':{'nameservers':['1.1.1.1','10.96.0.10','2.2.2.2','3.3.3.3'],'options':[{'name':'ndots',"
             "'value':'3'}]}}",
                "10.96.0.10 1.1.1.1 2.2.2.2", "ns.svc.cluster.local svc.cluster.local cluster.local corp.example x",
                "ndots:3", false, false},
        };
        char *cluster_dns[] = {(char *)"10.96.0.10", NULL};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                const struct dns_case *c = &cases[i];
                struct kc_dns_settings s = {.cluster_dns = c->no_cluster_dns ? NULL : cluster_dns,
                    .cluster_domain = "cluster.local",
                    .resolv_conf = conf};
                KC_CLEANUP(kc_json_freep)
                struct json_object *pod =
                    kc_json_build("{'metadata':{'name':'p','namespace':'ns'},'spec':%o}", kc_json_build(c->spec));
                struct kc_pod_dns d = {0};
                assert_int_equal(kc_pod_dns_make(&s, pod, &d, NULL), 0);
                KC_CLEANUP(kc_freep) char *servers = kc_strv_join(d.servers, " ");
                KC_CLEANUP(kc_freep) char *searches = kc_strv_join(d.searches, " ");
                KC_CLEANUP(kc_freep) char *options = kc_strv_join(d.options, " ");
                assert_string_equal(servers, c->servers);
                assert_string_equal(searches, c->searches);
                assert_string_equal(options, c->options);
                assert_int_equal(d.fell_back, c->fell_back);
                kc_pod_dns_done(&d);
        }
        struct kc_dns_settings none = {.resolv_conf = ""};
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build("{'metadata':{'name':'p'},'spec':{'dnsPolicy':'Default'}}");
        struct kc_pod_dns d = {0};
        assert_int_equal(kc_pod_dns_make(&none, pod, &d, NULL), 0);
        assert_string_equal(d.servers[0], "127.0.0.1");
        assert_string_equal(d.searches[0], ".");
        kc_pod_dns_done(&d);
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_hostname), cmocka_unit_test(test_hosts_file), cmocka_unit_test(test_dns)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
