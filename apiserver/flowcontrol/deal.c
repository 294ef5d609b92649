/* Shuffle sharding: a hand of cards from a deck, by a hash. Two flows seldom have the same hand, so one that floods its
 * queues leaves most others at least one that is free. Pure. */
#include "flowcontrol/flow_internal.h"

void flow_deal(uint64_t hash, unsigned deck, unsigned hand_size, unsigned *ret)
{
        /* Each draw is from the cards that are left, so it is moved past those that lie below it; ret is kept sorted
         * for that in a second array. */
        unsigned sorted[64];
        unsigned n = KC_MIN(KC_MIN(hand_size, deck), (unsigned)KC_ARRAY_LEN(sorted));
        for (unsigned i = 0; i < n; i++) {
                unsigned left = deck - i, card = (unsigned)(hash % left), at = 0;
                hash /= left;
                for (; at < i && sorted[at] <= card; at++)
                        card++;
                for (unsigned j = i; j > at; j--)
                        sorted[j] = sorted[j - 1];
                sorted[at] = card;
                ret[i] = card;
        }
}
