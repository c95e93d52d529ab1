//! What the program says about its own doings: log lines on standard error, text for people or JSON for programs, and spans for
//! an OpenTelemetry collector where one is configured.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::configuration::LogFormat;
use crate::exit::{Exit, Expected};

/// Held until the program ends, so that the last spans are sent.
#[must_use]
pub(crate) struct Logging {
    #[cfg(feature = "otlp")]
    spans: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Begins to log what the filter lets through, and to send spans to the collector at `otlp`. Within the runtime.
pub(crate) fn start(filter: &str, format: LogFormat, otlp: Option<&str>) -> anyhow::Result<Logging> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Expected {
        exit: Exit::BadConfiguration,
        message: format!(
            "`{filter}` is not a log filter: {error} (hint: it looks like `info` or `warn,assay_engine=debug`)"
        ),
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    #[cfg(feature = "otlp")]
    {
        let spans = otlp.map(spans_to).transpose()?;
        let layer = spans.as_ref().map(|provider| {
            use opentelemetry::trace::TracerProvider;
            tracing_opentelemetry::layer().with_tracer(provider.tracer("assay"))
        });
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .with(layer)
            .init();
        Ok(Logging { spans })
    }
    #[cfg(not(feature = "otlp"))]
    {
        // The configuration refuses an address here.
        let _ = otlp;
        tracing_subscriber::registry().with(filter).with(lines).init();
        Ok(Logging {})
    }
}

#[cfg(feature = "otlp")]
fn spans_to(endpoint: &str) -> anyhow::Result<opentelemetry_sdk::trace::SdkTracerProvider> {
    use anyhow::Context;
    use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;

    crate::remote::install_tls();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(reqwest::Client::new())
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("spans cannot be sent to {endpoint}"))?;
    // Sends from the runtime that everything else runs in; beyond its bounded queue spans are dropped.
    let processor = BatchSpanProcessor::builder(exporter, opentelemetry_sdk::runtime::Tokio).build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(Resource::builder().with_service_name("assay").build())
        .build())
}

impl Logging {
    /// Sends what is left. Blocks for a few seconds at most; away from the runtime's threads.
    pub(crate) async fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = self.spans {
            let ended = tokio::task::spawn_blocking(move || spans.shutdown());
            if let Ok(Err(error)) = ended.await {
                crate::progress::complain(&format!("the last spans could not be sent: {error}"));
            }
        }
    }
}
