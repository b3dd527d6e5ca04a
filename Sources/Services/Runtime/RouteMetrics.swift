import HTTP
import Telemetry

/// Requests and their times by route, on one loop. The instruments of a route are made with its first answer.
public final class RouteMetrics {
    private struct Instruments {
        /// By the first digit of the status, 2 to 5.
        let answers: [Counter]
        let duration: Histogram
    }

    private unowned let router: Router
    private let metrics: MetricRegistry
    private var byRoute: [Instruments?] = []

    public init(router: Router, metrics: MetricRegistry) {
        self.router = router
        self.metrics = metrics
    }

    /// Counts a finished answer.
    public func count(_ exchange: Exchange) {
        guard let route = exchange.route else { return }
        if route.index >= byRoute.count {
            byRoute += Array(repeating: nil, count: router.routes.count - byRoute.count)
        }
        let instruments = byRoute[route.index] ?? make(route)
        instruments.answers[min(max(exchange.replyStatus / 100, 2), 5) - 2].increment()
        instruments.duration.record(exchange.loop.nowUs - exchange.receivedUs)
    }

    private func make(_ route: Route) -> Instruments {
        let labels = [("method", "\(route.method.name)"), ("route", route.pattern)]
        let made = Instruments(
            answers: ["2xx", "3xx", "4xx", "5xx"].map {
                metrics.counter(
                    "quartermaster_http_answers_total", "Answers by route and class of status",
                    labels: labels + [("status", $0)])
            },
            duration: metrics.histogram(
                "quartermaster_http_request_duration_seconds", "From the whole request to its answer, by route",
                labels: labels, unit: .microseconds))
        byRoute[route.index] = made
        return made
    }
}
