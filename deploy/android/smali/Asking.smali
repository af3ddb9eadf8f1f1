# What the page asks the system for: files, the camera, the position. Only the app's own page may.
.class public Lorg/medloupe/pocket/Asking;
.super Landroid/webkit/WebChromeClient;

.field private final activity:Lorg/medloupe/pocket/MainActivity;

.method public constructor <init>(Lorg/medloupe/pocket/MainActivity;)V
    .registers 2
    invoke-direct {p0}, Landroid/webkit/WebChromeClient;-><init>()V
    iput-object p1, p0, Lorg/medloupe/pocket/Asking;->activity:Lorg/medloupe/pocket/MainActivity;
    return-void
.end method

.method public onShowFileChooser(Landroid/webkit/WebView;Landroid/webkit/ValueCallback;Landroid/webkit/WebChromeClient$FileChooserParams;)Z
    .registers 9
    # v0 activity, v1 before or intent, v2 scratch, v3 name; p0 v5, p1 v6, p2 v7, p3 v8

    iget-object v0, p0, Lorg/medloupe/pocket/Asking;->activity:Lorg/medloupe/pocket/MainActivity;
    iget-object v1, v0, Lorg/medloupe/pocket/MainActivity;->chosen:Landroid/webkit/ValueCallback;
    const/4 v2, 0x0
    if-eqz v1, :free
    invoke-interface {v1, v2}, Landroid/webkit/ValueCallback;->onReceiveValue(Ljava/lang/Object;)V
    :free
    iput-object p2, v0, Lorg/medloupe/pocket/MainActivity;->chosen:Landroid/webkit/ValueCallback;

    :try_start
    invoke-virtual {p3}, Landroid/webkit/WebChromeClient$FileChooserParams;->createIntent()Landroid/content/Intent;
    move-result-object v1
    invoke-virtual {p3}, Landroid/webkit/WebChromeClient$FileChooserParams;->getMode()I
    move-result v2
    const/4 v3, 0x1
    if-ne v2, v3, :one
    const-string v3, "android.intent.extra.ALLOW_MULTIPLE"
    const/4 v2, 0x1
    invoke-virtual {v1, v3, v2}, Landroid/content/Intent;->putExtra(Ljava/lang/String;Z)Landroid/content/Intent;
    :one
    const/4 v2, 0x3
    invoke-virtual {v0, v1, v2}, Lorg/medloupe/pocket/MainActivity;->startActivityForResult(Landroid/content/Intent;I)V
    :try_end
    .catch Landroid/content/ActivityNotFoundException; {:try_start .. :try_end} :none
    const/4 v0, 0x1
    return v0

    :none
    move-exception v1
    const/4 v2, 0x0
    iput-object v2, v0, Lorg/medloupe/pocket/MainActivity;->chosen:Landroid/webkit/ValueCallback;
    const/4 v0, 0x0
    return v0
.end method

.method public onPermissionRequest(Landroid/webkit/PermissionRequest;)V
    .registers 7
    # v0 activity, v1 scratch, v2 permissions, v3 name; p0 v5, p1 v6

    invoke-virtual {p1}, Landroid/webkit/PermissionRequest;->getOrigin()Landroid/net/Uri;
    move-result-object v1
    invoke-virtual {v1}, Landroid/net/Uri;->getHost()Ljava/lang/String;
    move-result-object v1
    const-string v2, "appassets.androidplatform.net"
    invoke-virtual {v2, v1}, Ljava/lang/String;->equals(Ljava/lang/Object;)Z
    move-result v1
    if-eqz v1, :deny

    iget-object v0, p0, Lorg/medloupe/pocket/Asking;->activity:Lorg/medloupe/pocket/MainActivity;
    const-string v3, "android.permission.CAMERA"
    invoke-virtual {v0, v3}, Lorg/medloupe/pocket/MainActivity;->checkSelfPermission(Ljava/lang/String;)I
    move-result v1
    if-nez v1, :ask
    invoke-static {p1}, Lorg/medloupe/pocket/Asking;->allow(Landroid/webkit/PermissionRequest;)V
    return-void

    :ask
    iput-object p1, v0, Lorg/medloupe/pocket/MainActivity;->asked:Landroid/webkit/PermissionRequest;
    const/4 v1, 0x1
    new-array v2, v1, [Ljava/lang/String;
    const/4 v4, 0x0
    aput-object v3, v2, v4
    invoke-virtual {v0, v2, v1}, Lorg/medloupe/pocket/MainActivity;->requestPermissions([Ljava/lang/String;I)V
    return-void

    :deny
    invoke-virtual {p1}, Landroid/webkit/PermissionRequest;->deny()V
    return-void
.end method

# Grant the camera, and nothing else that may have been asked for with it, such as the microphone.
.method static allow(Landroid/webkit/PermissionRequest;)V
    .registers 7
    # v0 asked for, v1 i, v2 length, v3 one, v4 camera, v5 granted; p0 v6

    invoke-virtual {p0}, Landroid/webkit/PermissionRequest;->getResources()[Ljava/lang/String;
    move-result-object v0
    const-string v4, "android.webkit.resource.VIDEO_CAPTURE"
    const/4 v1, 0x0
    array-length v2, v0
    :next
    if-ge v1, v2, :none
    aget-object v3, v0, v1
    invoke-virtual {v4, v3}, Ljava/lang/String;->equals(Ljava/lang/Object;)Z
    move-result v3
    add-int/lit8 v1, v1, 0x1
    if-eqz v3, :next
    const/4 v1, 0x1
    new-array v5, v1, [Ljava/lang/String;
    const/4 v1, 0x0
    aput-object v4, v5, v1
    invoke-virtual {p0, v5}, Landroid/webkit/PermissionRequest;->grant([Ljava/lang/String;)V
    return-void

    :none
    invoke-virtual {p0}, Landroid/webkit/PermissionRequest;->deny()V
    return-void
.end method

.method public onGeolocationPermissionsShowPrompt(Ljava/lang/String;Landroid/webkit/GeolocationPermissions$Callback;)V
    .registers 9
    # v0 activity, v1 allowed, v2 permissions, v3 coarse, v4 fine, v5 scratch; p0 v6, p1 v7, p2 v8

    const-string v0, "https://appassets.androidplatform.net"
    invoke-virtual {p1, v0}, Ljava/lang/String;->startsWith(Ljava/lang/String;)Z
    move-result v1
    const/4 v5, 0x0
    if-eqz v1, :tell

    iget-object v0, p0, Lorg/medloupe/pocket/Asking;->activity:Lorg/medloupe/pocket/MainActivity;
    const-string v3, "android.permission.ACCESS_COARSE_LOCATION"
    invoke-virtual {v0, v3}, Lorg/medloupe/pocket/MainActivity;->checkSelfPermission(Ljava/lang/String;)I
    move-result v1
    if-nez v1, :ask
    const/4 v1, 0x1
    :tell
    invoke-interface {p2, p1, v1, v5}, Landroid/webkit/GeolocationPermissions$Callback;->invoke(Ljava/lang/String;ZZ)V
    return-void

    :ask
    iput-object p1, v0, Lorg/medloupe/pocket/MainActivity;->origin:Ljava/lang/String;
    iput-object p2, v0, Lorg/medloupe/pocket/MainActivity;->place:Landroid/webkit/GeolocationPermissions$Callback;
    const-string v4, "android.permission.ACCESS_FINE_LOCATION"
    const/4 v1, 0x2
    new-array v2, v1, [Ljava/lang/String;
    aput-object v3, v2, v5
    const/4 v5, 0x1
    aput-object v4, v2, v5
    invoke-virtual {v0, v2, v1}, Lorg/medloupe/pocket/MainActivity;->requestPermissions([Ljava/lang/String;I)V
    return-void
.end method
