/* Who we are: version.Info. Any thread. */
#include "base/mem.h"
#include "daemon/health.h"
#include "json/json.h"

#ifndef KUBEC_GIT_COMMIT
#define KUBEC_GIT_COMMIT "unknown"
#endif
#ifndef KUBEC_BUILD_DATE
#define KUBEC_BUILD_DATE "1970-01-01T00:00:00Z"
#endif

#if defined(__x86_64__)
#define PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#elif defined(__arm__)
#define PLATFORM "linux/arm"
#elif defined(__riscv)
#define PLATFORM "linux/riscv64"
#elif defined(__i386__)
#define PLATFORM "linux/386"
#else
#define PLATFORM "linux/unknown"
#endif

void kc_version_info(struct kc_version_info *ret)
{
        *ret = (struct kc_version_info){
            .major = "1",
            .minor = "36",
            .git_version = KC_KUBE_VERSION,
            .git_commit = KUBEC_GIT_COMMIT,
            .git_tree_state = "clean",
            .build_date = KUBEC_BUILD_DATE,
            .go_version = "none",
            .compiler = "gcc",
            .platform = PLATFORM,
        };
}

char *kc_version_json(void)
{
        struct kc_version_info v;
        kc_version_info(&v);
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build("{'major':%s,'minor':%s,'emulationMajor':%s,'emulationMinor':%s,"
                                              "'minCompatibilityMajor':'1','minCompatibilityMinor':'35',"
                                              "'gitVersion':%s,'gitCommit':%s,'gitTreeState':%s,'buildDate':%s,"
                                              "'goVersion':%s,'compiler':%s,'platform':%s}",
            v.major, v.minor, v.major, v.minor, v.git_version, v.git_commit, v.git_tree_state, v.build_date,
            v.go_version, v.compiler, v.platform);
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_pretty(&b, o, 2, false);
        return kc_buf_take_str(&b);
}
