/* The process's observer of the client layer. Any thread. */
#include "client/observe.h"

#include <stdatomic.h>

static const struct kc_client_observer nobody;
static _Atomic(const struct kc_client_observer *) current = &nobody;

void kc_client_set_observer(const struct kc_client_observer *o)
{
        atomic_store(&current, o ? o : &nobody);
}

const struct kc_client_observer *kc_client_observer(void)
{
        return atomic_load(&current);
}
