import JSON

extension ServiceCommand {
    /// For health checks of containers, whose images have no curl.
    static let health: [ServiceCommand] = [
        ServiceCommand(
            "health",
            flags: [
                Flag("live", nil, "whether it answers at all, even while it is about to end"),
                Flag("redis", nil, "whether it reaches Redis as well"),
            ], help: "whether the service takes requests: exit code 0 or 1"
        ) { asking in
            let isLive = asking.arguments.has("live")
            let path = asking.arguments.has("redis") ? "/readyz?redis" : "/readyz"
            let answer = try asking.service.get(isLive ? "/healthz" : path)
            return asking.show(answer) { _ in isLive ? "live" : "ready" }
        }
    ]
}
