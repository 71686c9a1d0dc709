//! Tests of the protocol from outside, over the public interface of the core.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod brief;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod fan_out;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hand_over;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod races;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rejections;
#[cfg(test)]
mod repetition;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod world;
