import JSON

extension ServiceCommand {
    /// For health checks of containers, whose images have no curl.
    static let health: [ServiceCommand] = [
        ServiceCommand(
            "health", flags: [Flag("live", nil, "whether it answers at all, whatever it has to say of Redis")],
            help: "whether the service takes requests and reaches Redis: exit code 0 or 1"
        ) { asking in
            let isLive = asking.arguments.has("live")
            let answer = try asking.service.get(isLive ? "/healthz" : "/readyz")
            return asking.show(answer) { _ in isLive ? "live" : "ready" }
        }
    ]
}
