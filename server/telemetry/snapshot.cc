// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/snapshot.h"

#include <limits>
#include <utility>

#include "server/telemetry/process_stats.h"

namespace tailor {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

prometheus::MetricFamily EmptyFamily(Metric metric) {
  const MetricInfo& info = InfoOf(metric);
  prometheus::MetricFamily family;
  family.name = std::string(info.name);
  family.help = std::string(info.help);
  switch (info.type) {
    case MetricType::kCounter:
      family.type = prometheus::MetricType::Counter;
      break;
    case MetricType::kGauge:
      family.type = prometheus::MetricType::Gauge;
      break;
    case MetricType::kHistogram:
      family.type = prometheus::MetricType::Histogram;
      break;
  }
  return family;
}

Labels LabelsOf(const std::vector<Recorder::Dimension>& dimensions, size_t series) {
  Labels labels;
  for (auto dimension = dimensions.rbegin(); dimension != dimensions.rend(); ++dimension) {
    const std::vector<std::string>& values = dimension->values[series % dimension->values.size()];
    series /= dimension->values.size();
    for (size_t i = values.size(); i-- > 0;) labels.push_back({dimension->names[i], values[i]});
  }
  return {labels.rbegin(), labels.rend()};
}

size_t NumSeries(const std::vector<Recorder::Dimension>& dimensions) {
  size_t series = 1;
  for (const Recorder::Dimension& dimension : dimensions) series *= dimension.values.size();
  return series;
}

bool AllZero(const std::vector<double>& values) {
  for (const double value : values) {
    if (value != 0) return false;
  }
  return true;
}

prometheus::ClientMetric::Histogram HistogramOf(const MetricInfo& info,
                                                const std::vector<double>& values) {
  prometheus::ClientMetric::Histogram histogram;
  double cumulative = 0;
  for (size_t i = 0; i <= info.buckets.size(); ++i) {
    cumulative += values[i];
    const double bound =
        i < info.buckets.size() ? info.buckets[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({static_cast<uint64_t>(cumulative), bound});
  }
  histogram.sample_count = static_cast<uint64_t>(cumulative);
  histogram.sample_sum = values.back();
  return histogram;
}

prometheus::ClientMetric MetricOf(const MetricInfo& info, Labels labels,
                                  const std::vector<double>& values) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  switch (info.type) {
    case MetricType::kCounter:
      metric.counter.value = values[0];
      break;
    case MetricType::kGauge:
      metric.gauge.value = values[0];
      break;
    case MetricType::kHistogram:
      metric.histogram = HistogramOf(info, values);
      break;
  }
  return metric;
}

void AddProcess(std::vector<prometheus::MetricFamily>* families) {
  const ProcessStats stats = ReadProcessStats();
  const std::pair<Metric, double> values[] = {{Metric::kProcessCpu, stats.cpu_seconds},
                                              {Metric::kProcessResident, stats.resident_bytes},
                                              {Metric::kProcessOpenFds, stats.open_fds},
                                              {Metric::kProcessMaxFds, stats.max_fds},
                                              {Metric::kProcessStart, stats.start_time_seconds}};
  for (const auto& [metric, value] : values) {
    prometheus::MetricFamily family = EmptyFamily(metric);
    family.metric.push_back(MetricOf(InfoOf(metric), {}, {value}));
    families->push_back(std::move(family));
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> Snapshot::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  for (int i = 0; i < static_cast<int>(Metric::kProcessCpu); ++i) {
    const auto metric = static_cast<Metric>(i);
    const std::vector<Recorder::Dimension>& dimensions = recorder_->dimensions(metric);
    prometheus::MetricFamily family = EmptyFamily(metric);
    const bool is_sparse = dimensions.size() > 1 && InfoOf(metric).type != MetricType::kGauge;
    for (size_t series = 0; series < NumSeries(dimensions); ++series) {
      const std::vector<double> values = recorder_->Series(metric, series);
      if (is_sparse && AllZero(values)) continue;
      family.metric.push_back(MetricOf(InfoOf(metric), LabelsOf(dimensions, series), values));
    }
    families.push_back(std::move(family));
  }
  AddProcess(&families);
  return families;
}

}  // namespace tailor
