/* The table of resources that have rules of their own, each in a file of its own. Constant: any thread. */
#include <string.h>

#include "registry/strategy.h"

const struct kc_strategy kc_strategy_default;

static const struct kc_strategy *const strategies[] = {
    NULL,
};

const struct kc_strategy *kc_strategy_for(const char *group, const char *resource)
{
        for (size_t i = 0; strategies[i]; i++)
                if (strcmp(strategies[i]->group, group) == 0 && strcmp(strategies[i]->resource, resource) == 0)
                        return strategies[i];
        return &kc_strategy_default;
}
