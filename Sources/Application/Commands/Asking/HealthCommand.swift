import JSON

extension ServiceCommand {
    /// For health checks of containers, whose images have no curl.
    static let health: [ServiceCommand] = [
        ServiceCommand("health", help: "whether the service takes requests and reaches Redis: exit code 0 or 1") {
            asking in
            asking.show(try asking.service.get("/readyz")) { _ in "ready" }
        }
    ]
}
