//! How the allocator treats the memory that a training step frees.
//!
//! Every step asks for the same large buffers as the one before. glibc gives freed memory back to the system and asks for it again,
//! and the system then hands out new pages one fault at a time: in the tutorial's convolutional network that took a third of the
//! time on an idle machine and half of it on a busy one. Kept by the process, the buffers are there for the next step; the peak stays
//! what it was.
//!
//! glibc also gives each thread a heap of its own, in parts of 64 MB that go back to the system as soon as they are empty, whatever
//! its limits say: 1.7 million page faults in two epochs of that network, a quarter of its time. So all threads share the one heap
//! that is kept. They ask for few and large buffers (small ones wait in a list of each thread's own), and seldom at once.

/// Makes the allocator keep freed memory for this process. Does nothing where the C library is not glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest size up to which glibc lets buffers be taken from the heap, which is kept, instead of being mapped each time.
        const LARGEST_KEPT: libc::c_int = 32 << 20;
        const HEAPS: libc::c_int = 1;
        // SAFETY: mallopt only sets three numbers of the allocator, under its own lock. Where it refuses one, nothing changes.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_can_be_used_and_freed_as_before() {
        keep_freed_memory();
        for size in [1 << 10, 1 << 20, 1 << 26] {
            let buffer = vec![1_u8; size];
            assert!(buffer.iter().all(|&byte| byte == 1));
        }
    }
}
