/* Shared by the files of env. */
#pragma once

#include "kubelet/env/env.h"

/* Sets name: at its place if there is one, else at the end. */
void kc_env_set(struct kc_env *e, const char *name, const char *value);
/* env, then services, as expansion.MappingFuncFor. fallback may be NULL. */
char *kc_env_expand_two(const char *s, const struct kc_env *e, const struct kc_env *fallback, char ***ret_missing);
/* Variables of the services of the pod's namespace (when links is set) and of default/kubernetes. */
void kc_env_services(struct kc_informer *services, const char *ns, bool links, struct kc_env *ret);
