//! Denormals read and written as zero, thread by thread.

/// Makes the calling thread treat denormal operands as zero and write zero instead of denormal results, from now on.
pub fn flush_denormals() {
    control::set(control::get() | control::FLUSH);
}

/// Runs `work` with denormals flushed on the calling thread, then puts the thread back as it was.
pub fn with_flushed_denormals<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            control::set(self.0);
        }
    }
    let _restore = Restore(control::get());
    flush_denormals();
    work()
}

/// The floating-point control register of a thread.
#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// FTZ (bit 15) writes zero instead of a denormal, DAZ (bit 6) reads a denormal as zero.
    pub const FLUSH: u64 = 1 << 15 | 1 << 6;

    pub fn get() -> u64 {
        let mut register = 0_u32;
        // SAFETY: stores the 32 bits of MXCSR, a register that every x86-64 has, to a local variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack, preserves_flags)) };
        u64::from(register)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only what `get` returned and FLUSH come here: 32 bits"
    )]
    pub fn set(register: u64) {
        let register = register as u32;
        // SAFETY: sets MXCSR to a value that `get` returned, with FTZ and DAZ possibly added: valid bits on every x86-64. Rounding
        // and exceptions stay as they were.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack, preserves_flags, readonly)) };
    }
}

/// The floating-point control register of a thread.
#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FZ (bit 24): denormal operands and results are zero.
    pub const FLUSH: u64 = 1 << 24;

    pub fn get() -> u64 {
        let register: u64;
        // SAFETY: reads FPCR, which every aarch64 has.
        unsafe { asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack, preserves_flags)) };
        register
    }

    pub fn set(register: u64) {
        // SAFETY: sets FPCR to a value that `get` returned, with FZ possibly added. Rounding and exceptions stay as they were. It is not
        // said to leave memory alone: what was computed under the old value is written before.
        unsafe { asm!("msr fpcr, {}", in(reg) register, options(nostack, preserves_flags)) };
    }
}

/// Elsewhere denormals stay: slower, and no less right.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub const FLUSH: u64 = 0;

    pub fn get() -> u64 {
        0
    }

    pub fn set(_register: u64) {}
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    #![allow(clippy::float_cmp, reason = "zero is what is asked for")]

    use std::hint::black_box;

    use super::super::pool;
    use super::*;

    /// Half of the smallest normal number: denormal unless flushed.
    fn half_of_the_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn denormals_are_flushed_in_the_pool_and_only_there() {
        let pool = pool(3).unwrap();
        let flushed = pool.broadcast(|_| half_of_the_smallest_normal());
        assert_eq!(flushed, [0.0; 3]);
        assert!(half_of_the_smallest_normal() > 0.0);
    }

    #[test]
    fn a_thread_is_put_back_as_it_was() {
        assert_eq!(with_flushed_denormals(half_of_the_smallest_normal), 0.0);
        assert!(half_of_the_smallest_normal() > 0.0);
    }
}
