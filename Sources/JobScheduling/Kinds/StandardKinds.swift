extension JobKindDefinition {
    /// The kinds that come with Quartermaster.
    public static let standard = [
        JobKindDefinition(SimulatedKind.self), JobKindDefinition(CommandKind.self),
        JobKindDefinition(FileCleanupKind.self),
    ]
}
