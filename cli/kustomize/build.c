#include <errno.h>
#include "cli/kustomize/kustomize.h"
int kc_kustomize_build(const char *dir, const struct kc_kustomize_options *o, struct kc_buf *ret, struct kc_error *err)
{
        (void)o; (void)ret;
        return kc_error_set(err, ENOTSUP, "%s: kustomizations", dir);
}
