//! The one place that chooses a Burn backend.

use burn::tensor::Device;

/// The device that the tools compute on: the first of [`available`].
///
/// # Errors
/// When the crate was built without any backend.
pub fn default() -> crate::Result<Device> {
    available().into_iter().map(|(_, device)| device).next().ok_or_else(|| {
        crate::Error::Internal("built without a Burn backend; enable the feature ndarray or flex".into())
    })
}

/// Every backend compiled in, with its name: `ndarray` first, then its successor `flex`.
#[must_use]
pub fn available() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "ndarray")]
        #[expect(
            deprecated,
            reason = "deprecated upstream in favour of flex, which is behind its own feature"
        )]
        ("ndarray", Device::ndarray()),
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
    ]
}
