// SPDX-License-Identifier: Apache-2.0
//
// What is left of a session whose runtime and guard were killed together: its folder under run_dir() and its control groups. (Its processes end by
// themselves, its containers are swept by label.) A session's folder is named "ID-XXXXXX" and holds `owner`, its runtime's process_id().
#pragma once

namespace hawse::runtime {

void sweep_sessions() noexcept;  // of this user's dead sessions

}  // namespace hawse::runtime
