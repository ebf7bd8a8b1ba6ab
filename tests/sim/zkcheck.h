/* SPDX-License-Identifier: Apache-2.0 */
/* Every frame that the simulated server sends to a client, held against the model. */
#ifndef CORRAL_TESTS_SIM_ZKCHECK_H
#define CORRAL_TESTS_SIM_ZKCHECK_H

struct zkclient;

/* Check and consume the frames in c->out. The model must be at the server's last zxid. */
void zkcheck_frames(struct zkclient *c);

#endif
