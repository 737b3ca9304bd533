//! Chance that repeats itself.
//!
//! A simulation is worth something only if a seed that failed fails again. What is random in a program that is all `async`
//! comes from two sources: what the test itself draws, and what the standard library asks the kernel for. The keys of every
//! `HashMap` are of the second sort, and in kube's and tokio's schedulers they decide who is polled first. So a test program
//! that links this crate gets its "randomness" from a seed: one for each thread, because every thread asks the kernel anew.
//!
//! This crate is the only one with `unsafe` in it. It must not come near the product.

use std::cell::Cell;

thread_local! {
    static KERNEL: Cell<u64> = const { Cell::new(1) };
}

/// Seeds what this thread gets from the kernel from now on. Call it first: the standard library asks once a thread, and keeps
/// what it got.
pub fn seed_thread(seed: u64) {
    KERNEL.set(mix(seed));
}

/// Takes the place of the C library's function of that name, which the standard library calls.
///
/// # Safety
///
/// As for the C function: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    for chunk in bytes.chunks_mut(8) {
        let drawn = KERNEL.with(|state| {
            state.set(state.get().wrapping_add(STEP));
            mix(state.get())
        });
        chunk.copy_from_slice(&drawn.to_le_bytes()[..chunk.len()]);
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

unsafe extern "C" {
    fn personality(persona: u64) -> i32;
}

/// Lets the processes that this thread starts from now on have their memory at the same addresses every time: kube's hash maps
/// draw their chance from those. Where the kernel does not allow it, a seed may do one thing or another.
pub fn fix_addresses_of_children() {
    const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
    // SAFETY: the call takes a number and touches no memory of ours.
    unsafe {
        personality(ADDR_NO_RANDOMIZE);
    }
}

/// A source of chance with a seed of its own (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Chance(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

impl Chance {
    /// A source; `what_for` keeps two of the same seed apart.
    #[must_use]
    pub fn new(seed: u64, what_for: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)) ^ mix(what_for.wrapping_mul(STEP)))
    }

    /// A number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below another.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// A number from one to another, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least.saturating_add(self.below(most.saturating_sub(least).saturating_add(1)))
    }

    /// Yes, so many times in a thousand.
    pub fn happens(&mut self, in_a_thousand: u64) -> bool {
        self.below(1000) < in_a_thousand
    }

    /// One of them, if there is one.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(all.len()).unwrap_or(u64::MAX));
        all.get(usize::try_from(index).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    /// The order of a set, as a new thread sees it.
    fn order(seed: u64) -> Vec<u32> {
        let in_thread = move || {
            seed_thread(seed);
            (0..100).collect::<HashSet<_>>().into_iter().collect()
        };
        thread::spawn(in_thread).join().unwrap()
    }

    #[test]
    fn the_order_of_a_set_is_that_of_the_seed() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
