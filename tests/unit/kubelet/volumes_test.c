/* Volumes of pods on a real file system: what containers will see, updates, messages, subPath, tear-down. What mounts
 * needs to be root; it happens in a mount namespace of the test's own. */
#include "object_api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "kubelet/volumes/volumes.h"

static bool can_mount;

struct world {
        struct object_api api;
        struct kc_objcache *objects;
        struct kc_fake_clock clock;
        struct kc_volumes *v;
        char root[64];
        int tokens;
};

/* Tokens of an hour by the test's clock, numbered. */
static struct json_object *post_token(struct object_api *a, const char *path, const struct json_object *body)
{
        struct world *w = a->arg;
        char expires[KC_TIME_LEN];
        KC_CLEANUP(kc_freep) char *token = kc_asprintf("token-%d", ++w->tokens);
        assert_string_equal(path, "/api/v1/namespaces/ns/serviceaccounts/sa/token");
        assert_string_equal(kc_json_str_at(body, "spec.boundObjectRef.name"), "p");
        assert_string_equal(kc_json_str_at(body, "spec.boundObjectRef.uid"), "u1");
        kc_time_format(w->clock.time + 3600 * KC_SEC, expires);
        return kc_json_build("{'kind':'TokenRequest','spec':{'expirationSeconds':%d},'status':{'token':%s,"
                             "'expirationTimestamp':%s}}",
            (int)kc_json_int_at(body, "spec.expirationSeconds", 0), token, expires);
}

static void world_init(struct world *w)
{
        memset(w, 0, sizeof(*w));
        object_api_start(&w->api);
        w->api.post = post_token;
        w->api.arg = w;
        kc_fake_clock_init(&w->clock, 1763727670 * KC_SEC);
        w->objects = kc_objcache_new(w->api.rest, 0, &w->clock.clock);
        snprintf(w->root, sizeof(w->root), "/tmp/kubec-volumes-XXXXXX");
        assert_non_null(mkdtemp(w->root));
        struct kc_volumes_opts o = {
            .root_dir = w->root, .objects = w->objects, .rest = w->api.rest, .clock = &w->clock.clock};
        assert_int_equal(kc_volumes_new(&o, &w->v, NULL), 0);
}

static void world_done(struct world *w)
{
        struct kc_error err = KC_ERROR_INIT;
        if (kc_volumes_teardown_pod(w->v, "u1", &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        assert_false(kc_volumes_exist(w->v, "u1"));
        kc_volumes_free(w->v);
        kc_objcache_free(w->objects);
        object_api_end(&w->api);
        assert_int_equal(kc_rm_rf(w->root, NULL), 0);
}

/* A pod whose container mounts volume "v". */
static struct json_object *pod_with(struct json_object *take_volume, const char *mount, const char *security)
{
        kc_json_set_str(take_volume, "name", "v");
        return kc_json_build("{'metadata':{'name':'p','namespace':'ns','uid':'u1','labels':{'a':'1'}},'spec':{"
                             "'serviceAccountName':'sa','securityContext':%o,'volumes':[%o],'containers':[{'name':'c',"
                             "'volumeMounts':[%o]}]}}",
            kc_json_build(security), take_volume, kc_json_build(mount));
}

#define MOUNT "{'name':'v','mountPath':'/v'}"

static int setup(struct world *w, const struct json_object *pod, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *allocatable = kc_json_build("{'memory':'1Gi'}");
        struct kc_pod_facts facts = {.node_name = "n1", .allocatable = allocatable};
        return kc_volumes_setup_pod(w->v, pod, &facts, err);
}

static void assert_setup(struct world *w, const struct json_object *pod)
{
        struct kc_error err = KC_ERROR_INIT;
        if (setup(w, pod, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
}

static void assert_setup_fails(struct world *w, struct json_object *take_volume, const char *message)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_with(take_volume, MOUNT, "{}");
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_true(setup(w, pod, &err) < 0);
        assert_string_equal(kc_error_message(&err), message);
}

/* "<plugin>/v/<path>" below the pod's volumes. */
static char *path_of(struct world *w, const char *plugin, const char *path)
{
        return kc_asprintf("%s/pods/u1/volumes/kubernetes.io~%s/v/%s", w->root, plugin, path);
}

static void assert_file(struct world *w, const char *plugin, const char *path, const char *content, int mode)
{
        KC_CLEANUP(kc_freep) char *full = path_of(w, plugin, path);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        struct stat st;
        if (kc_file_read(full, 65536, &b, NULL) < 0 || stat(full, &st) < 0)
                fail_msg("%s cannot be read", full);
        assert_string_equal(kc_buf_str(&b), content);
        assert_int_equal(st.st_mode & 07777, mode);
}

static bool there(struct world *w, const char *plugin, const char *path)
{
        KC_CLEANUP(kc_freep) char *full = path_of(w, plugin, path);
        struct stat st;
        return lstat(full, &st) == 0;
}

static char *data_dir(struct world *w, const char *plugin)
{
        KC_CLEANUP(kc_freep) char *link = path_of(w, plugin, "..data");
        char target[256] = "";
        assert_true(readlink(link, target, sizeof(target) - 1) > 0);
        return kc_strdup(target);
}

#define CM "/api/v1/namespaces/ns/configmaps/cm"

static void test_config_map(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        api_put(&w.api, CM,
            kc_json_build("{'metadata':{'name':'cm'},'data':{'a':'1','b':'2'},'binaryData':{'bin':'AAEC'}}"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(kc_json_build("{'configMap':{'name':'cm','defaultMode':420}}"), MOUNT, "{}");
        kc_objcache_register_pod(w.objects, pod);
        assert_setup(&w, pod);
        assert_file(&w, "configmap", "a", "1", 0644);
        assert_file(&w, "configmap", "b", "2", 0644);
        assert_true(there(&w, "configmap", "bin"));
        KC_CLEANUP(kc_freep) char *first = data_dir(&w, "configmap");
        assert_true(kc_str_has_prefix(first, "..2025_11_21_12_21_10."));
        /* Nothing new: the same directory. */
        assert_setup(&w, pod);
        KC_CLEANUP(kc_freep) char *second = data_dir(&w, "configmap");
        assert_string_equal(second, first);
        /* Changed, one key gone: a new one, and nothing is left of the old. */
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'a':'one'}}"));
        kc_fake_clock_advance(&w.clock, 61 * KC_SEC);
        assert_setup(&w, pod);
        assert_file(&w, "configmap", "a", "one", 0644);
        assert_false(there(&w, "configmap", "b"));
        assert_false(there(&w, "configmap", first));
        /* Deleted: what there is stays. */
        api_put(&w.api, CM, NULL);
        kc_fake_clock_advance(&w.clock, 61 * KC_SEC);
        assert_setup(&w, pod);
        assert_file(&w, "configmap", "a", "one", 0644);
        kc_objcache_unregister_pod(w.objects, "u1");
        world_done(&w);
}

static void test_items(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip();
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'a':'1','b':'2'}}"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(
            kc_json_build("{'configMap':{'name':'cm','defaultMode':256,'items':[{'key':'a','path':'x/y'},{'key':'b',"
                          "'path':'z','mode':384}]}}"),
            MOUNT, "{'fsGroup':1234}");
        assert_setup(&w, pod);
        assert_file(&w, "configmap", "x/y", "1", 0440); /* 0400, and the group may read */
        assert_file(&w, "configmap", "z", "2", 0640);
        KC_CLEANUP(kc_freep) char *file = path_of(&w, "configmap", "x/y");
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_gid, 1234);
        world_done(&w);
}

static void test_messages(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'a':'1'}}"));
        assert_setup_fails(&w, kc_json_build("{'configMap':{'name':'y'}}"),
            "MountVolume.SetUp failed for volume \"v\" : configmap \"y\" not found");
        assert_setup_fails(&w, kc_json_build("{'secret':{'secretName':'y'}}"),
            "MountVolume.SetUp failed for volume \"v\" : secret \"y\" not found");
        assert_setup_fails(&w, kc_json_build("{'configMap':{'name':'cm','items':[{'key':'q','path':'q'}]}}"),
            "MountVolume.SetUp failed for volume \"v\" : configmap references non-existent config key: q");
        assert_setup_fails(&w, kc_json_build("{'hostPath':{'path':'/etc/hosts','type':'Directory'}}"),
            "MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: /etc/hosts is not a directory");
        assert_setup_fails(&w, kc_json_build("{'hostPath':{'path':'/nonexistent','type':'File'}}"),
            "MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: /nonexistent is not a file");
        assert_setup_fails(&w, kc_json_build("{'nfs':{'server':'x'}}"),
            "MountVolume.SetUp failed for volume \"v\" : no volume plugin matched");
        /* What may be missing. */
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(kc_json_build("{'configMap':{'name':'y','optional':true}}"), MOUNT, "{}");
        assert_setup(&w, pod);
        world_done(&w);
}

static void test_empty_dir(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip();
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(kc_json_build("{'emptyDir':{}}"), MOUNT, "{'fsGroup':2000}");
        assert_setup(&w, pod);
        KC_CLEANUP(kc_freep) char *dir = path_of(&w, "empty-dir", "");
        KC_CLEANUP(kc_freep) char *file = path_of(&w, "empty-dir", "data");
        struct stat st;
        assert_int_equal(stat(dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 02777);
        assert_int_equal(st.st_gid, 2000);
        assert_int_equal(kc_file_write_atomic(file, "x", 1, 0600, NULL), 0);
        assert_setup(&w, pod);
        assert_file(&w, "empty-dir", "data", "x", 0600); /* what containers wrote stays as it is */
        struct kc_volume_mounts m = {0};
        const struct json_object *c = kc_json_idx(kc_json_at(pod, "spec.containers"), 0);
        assert_int_equal(kc_volumes_container_mounts(w.v, pod, c, NULL, &m, NULL), 0);
        assert_int_equal(m.n, 1);
        assert_string_equal(m.v[0].container_path, "/v");
        assert_true(kc_str_has_prefix(dir, m.v[0].host_path));
        assert_false(m.v[0].read_only);
        kc_volume_mounts_done(&m);
        world_done(&w);
}

static void test_memory(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_with(kc_json_build("{'emptyDir':{'medium':'Memory','sizeLimit':'1Mi'}}"), MOUNT, "{}");
        assert_setup(&w, pod);
        assert_setup(&w, pod);
        KC_CLEANUP(kc_freep) char *dir = path_of(&w, "empty-dir", "");
        struct statfs fs;
        assert_int_equal(statfs(dir, &fs), 0);
        assert_int_equal(fs.f_type, 0x01021994); /* TMPFS_MAGIC */
        assert_int_equal((long long)fs.f_blocks * fs.f_bsize, 1024 * 1024);
        world_done(&w);
}

static void test_token(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'ca.crt':'CA'}}"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(
            kc_json_build("{'projected':{'defaultMode':420,'sources':[{'serviceAccountToken':{'path':'token',"
                          "'expirationSeconds':3600}},{'configMap':{'name':'cm'}},{'downwardAPI':{'items':[{'path':"
                          "'namespace','fieldRef':{'fieldPath':'metadata.namespace'}}]}}]}}"),
            MOUNT, "{}");
        assert_setup(&w, pod);
        assert_file(&w, "projected", "token", "token-1", 0644);
        assert_file(&w, "projected", "ca.crt", "CA", 0644);
        assert_file(&w, "projected", "namespace", "ns", 0644);
        kc_fake_clock_advance(&w.clock, 2800 * KC_SEC);
        assert_setup(&w, pod);
        assert_file(&w, "projected", "token", "token-1", 0644);
        kc_fake_clock_advance(&w.clock, 81 * KC_SEC); /* past 80 % of an hour */
        assert_setup(&w, pod);
        assert_file(&w, "projected", "token", "token-2", 0644);
        world_done(&w);
}

static void test_token_of_user(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_with(kc_json_build("{'projected':{'sources':[{'serviceAccountToken':{'path':'token'}}]}}"), MOUNT,
                "{'runAsUser':1001}");
        assert_setup(&w, pod);
        assert_file(&w, "projected", "token", "token-1", 0600);
        KC_CLEANUP(kc_freep) char *file = path_of(&w, "projected", "token");
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_uid, 1001);
        world_done(&w);
}

static int mounts(struct world *w, const struct json_object *pod, const struct kc_env *env, struct kc_volume_mounts *m,
    struct kc_error *err)
{
        return kc_volumes_container_mounts(w->v, pod, kc_json_idx(kc_json_at(pod, "spec.containers"), 0), env, m, err);
}

static void test_subpath(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_with(kc_json_build("{'emptyDir':{}}"), "{'name':'v','mountPath':'v','subPathExpr':'d/$(NAME)'}", "{}");
        assert_setup(&w, pod);
        struct kc_env env = {0};
        kc_strv_push(&env.names, "NAME");
        kc_strv_push(&env.values, "p");
        env.n = 1;
        for (int again = 0; again < 2; again++) {
                struct kc_volume_mounts m = {0};
                assert_int_equal(mounts(&w, pod, &env, &m, NULL), 0);
                KC_CLEANUP(kc_freep) char *expected = kc_asprintf("%s/pods/u1/volume-subpaths/v/c/0", w.root);
                assert_string_equal(m.v[0].host_path, expected);
                assert_string_equal(m.v[0].container_path, "/v");
                KC_CLEANUP(kc_freep) char *inside = path_of(&w, "empty-dir", "d/p");
                struct stat a, b;
                assert_int_equal(stat(inside, &a), 0);
                assert_int_equal(stat(expected, &b), 0);
                assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
                assert_int_equal(a.st_mode & 0777, 0777);
                kc_volume_mounts_done(&m);
        }
        kc_env_done(&env);
        world_done(&w);
}

/* A link that a container put there leads nowhere. */
static void test_subpath_escape(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_with(kc_json_build("{'emptyDir':{}}"), "{'name':'v','mountPath':'/v','subPath':'link/etc'}", "{}");
        assert_setup(&w, pod);
        KC_CLEANUP(kc_freep) char *link = path_of(&w, "empty-dir", "link");
        static const char *const targets[] = {"/", "../../../../../../.."};
        for (size_t i = 0; i < KC_ARRAY_LEN(targets); i++) {
                assert_int_equal(symlink(targets[i], link), 0);
                struct kc_volume_mounts m = {0};
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_true(mounts(&w, pod, NULL, &m, &err) < 0);
                assert_string_equal(
                    kc_error_message(&err), "failed to prepare subPath for volumeMount \"v\" of container \"c\"");
                assert_int_equal(unlink(link), 0);
        }
        world_done(&w);
}

/* A key of a ConfigMap, by the links inside of the volume. */
static void test_subpath_of_key(void **state)
{
        (void)state;
        if (!can_mount)
                skip();
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'a':'1'}}"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_with(kc_json_build("{'configMap':{'name':'cm'}}"),
            "{'name':'v','mountPath':'/etc/a.conf','subPath':'a','mountPropagation':'HostToContainer'}", "{}");
        assert_setup(&w, pod);
        struct kc_volume_mounts m = {0};
        assert_int_equal(mounts(&w, pod, NULL, &m, NULL), 0);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(m.v[0].host_path, 100, &b, NULL), 0);
        assert_string_equal(kc_buf_str(&b), "1");
        assert_true(m.v[0].read_only);
        assert_int_equal(m.v[0].propagation, 1);
        kc_volume_mounts_done(&m);
        assert_true(kc_volumes_exist(w.v, "u1"));
        world_done(&w);
}

int main(void)
{
        can_mount =
            geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_config_map),
            cmocka_unit_test(test_items),
            cmocka_unit_test(test_messages),
            cmocka_unit_test(test_empty_dir),
            cmocka_unit_test(test_memory),
            cmocka_unit_test(test_token),
            cmocka_unit_test(test_token_of_user),
            cmocka_unit_test(test_subpath),
            cmocka_unit_test(test_subpath_escape),
            cmocka_unit_test(test_subpath_of_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
