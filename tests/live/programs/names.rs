// SPDX-License-Identifier: Apache-2.0
// A method of a generic type, in a module, that calls a closure and never returns.
mod store {
    pub struct Tree<T> {
        pub keys: Vec<T>,
    }

    impl<T: Copy + Into<u64>> Tree<T> {
        #[inline(never)]
        pub fn scan<F: Fn(u64) -> u64>(&self, visit: F) -> u64 {
            let mut sum = 0u64;
            loop {
                for key in &self.keys {
                    sum = sum.wrapping_add(visit((*key).into()));
                }
                if sum == 1 {
                    return sum;
                }
            }
        }
    }
}

fn main() {
    let tree = store::Tree { keys: (0..1000u32).collect::<Vec<_>>() };
    println!("{} busy", std::process::id());
    let end = tree.scan(|x| std::hint::black_box(x) * 3);
    println!("{}", end);
}
