# The one window: a WebView over the whole screen, and what the system answers when it was asked for files or permissions.
.class public Lorg/medloupe/pocket/MainActivity;
.super Landroid/app/Activity;

.field web:Landroid/webkit/WebView;
.field chosen:Landroid/webkit/ValueCallback;
.field asked:Landroid/webkit/PermissionRequest;
.field origin:Ljava/lang/String;
.field place:Landroid/webkit/GeolocationPermissions$Callback;

.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/app/Activity;-><init>()V
    return-void
.end method

.method protected onCreate(Landroid/os/Bundle;)V
    .registers 6

    invoke-super {p0, p1}, Landroid/app/Activity;->onCreate(Landroid/os/Bundle;)V
    new-instance v0, Landroid/webkit/WebView;
    invoke-direct {v0, p0}, Landroid/webkit/WebView;-><init>(Landroid/content/Context;)V
    iput-object v0, p0, Lorg/medloupe/pocket/MainActivity;->web:Landroid/webkit/WebView;

    invoke-virtual {v0}, Landroid/webkit/WebView;->getSettings()Landroid/webkit/WebSettings;
    move-result-object v1
    const/4 v2, 0x1
    invoke-virtual {v1, v2}, Landroid/webkit/WebSettings;->setJavaScriptEnabled(Z)V
    invoke-virtual {v1, v2}, Landroid/webkit/WebSettings;->setDomStorageEnabled(Z)V
    invoke-virtual {v1, v2}, Landroid/webkit/WebSettings;->setGeolocationEnabled(Z)V
    const/4 v2, 0x0
    invoke-virtual {v1, v2}, Landroid/webkit/WebSettings;->setAllowFileAccess(Z)V
    invoke-virtual {v1, v2}, Landroid/webkit/WebSettings;->setMediaPlaybackRequiresUserGesture(Z)V

    new-instance v1, Lorg/medloupe/pocket/Assets;
    invoke-direct {v1, p0}, Lorg/medloupe/pocket/Assets;-><init>(Landroid/content/Context;)V
    invoke-virtual {v0, v1}, Landroid/webkit/WebView;->setWebViewClient(Landroid/webkit/WebViewClient;)V
    new-instance v1, Lorg/medloupe/pocket/Asking;
    invoke-direct {v1, p0}, Lorg/medloupe/pocket/Asking;-><init>(Lorg/medloupe/pocket/MainActivity;)V
    invoke-virtual {v0, v1}, Landroid/webkit/WebView;->setWebChromeClient(Landroid/webkit/WebChromeClient;)V

    invoke-virtual {p0, v0}, Lorg/medloupe/pocket/MainActivity;->setContentView(Landroid/view/View;)V
    const-string v1, "https://appassets.androidplatform.net/index.html"
    invoke-virtual {v0, v1}, Landroid/webkit/WebView;->loadUrl(Ljava/lang/String;)V
    return-void
.end method

.method public onBackPressed()V
    .registers 3

    iget-object v0, p0, Lorg/medloupe/pocket/MainActivity;->web:Landroid/webkit/WebView;
    invoke-virtual {v0}, Landroid/webkit/WebView;->canGoBack()Z
    move-result v1
    if-eqz v1, :leave
    invoke-virtual {v0}, Landroid/webkit/WebView;->goBack()V
    return-void

    :leave
    invoke-super {p0}, Landroid/app/Activity;->onBackPressed()V
    return-void
.end method

.method protected onDestroy()V
    .registers 2

    iget-object v0, p0, Lorg/medloupe/pocket/MainActivity;->web:Landroid/webkit/WebView;
    invoke-virtual {v0}, Landroid/webkit/WebView;->destroy()V
    invoke-super {p0}, Landroid/app/Activity;->onDestroy()V
    return-void
.end method

# Files were chosen, one or several, or none.
.method protected onActivityResult(IILandroid/content/Intent;)V
    .registers 11
    # v0 callback, v1 uris, v2 clip, v3 count, v4 i, v5 item; p0 v7, p1 v8, p2 v9, p3 v10

    iget-object v0, p0, Lorg/medloupe/pocket/MainActivity;->chosen:Landroid/webkit/ValueCallback;
    if-eqz v0, :done
    const/4 v1, 0x0
    iput-object v1, p0, Lorg/medloupe/pocket/MainActivity;->chosen:Landroid/webkit/ValueCallback;
    if-eqz p3, :single
    const/4 v5, -0x1
    if-ne p2, v5, :single
    invoke-virtual {p3}, Landroid/content/Intent;->getClipData()Landroid/content/ClipData;
    move-result-object v2
    if-eqz v2, :single

    invoke-virtual {v2}, Landroid/content/ClipData;->getItemCount()I
    move-result v3
    new-array v1, v3, [Landroid/net/Uri;
    const/4 v4, 0x0
    :next
    if-ge v4, v3, :give
    invoke-virtual {v2, v4}, Landroid/content/ClipData;->getItemAt(I)Landroid/content/ClipData$Item;
    move-result-object v5
    invoke-virtual {v5}, Landroid/content/ClipData$Item;->getUri()Landroid/net/Uri;
    move-result-object v5
    aput-object v5, v1, v4
    add-int/lit8 v4, v4, 0x1
    goto :next

    :single
    invoke-static {p2, p3}, Landroid/webkit/WebChromeClient$FileChooserParams;->parseResult(ILandroid/content/Intent;)[Landroid/net/Uri;
    move-result-object v1

    :give
    invoke-interface {v0, v1}, Landroid/webkit/ValueCallback;->onReceiveValue(Ljava/lang/Object;)V
    :done
    return-void
.end method

# The person allowed the camera (1) or the position (2), or did not.
.method public onRequestPermissionsResult(I[Ljava/lang/String;[I)V
    .registers 10
    # v0 allowed, v1 what was asked, v2 scratch, v3 origin, v4 i; p0 v6, p1 v7, p2 v8, p3 v9

    const/4 v0, 0x0
    const/4 v4, 0x0
    array-length v2, p3
    :next
    if-ge v4, v2, :known
    aget v1, p3, v4
    add-int/lit8 v4, v4, 0x1
    if-nez v1, :next
    const/4 v0, 0x1

    :known
    const/4 v2, 0x0
    const/4 v4, 0x1
    if-ne p1, v4, :position
    iget-object v1, p0, Lorg/medloupe/pocket/MainActivity;->asked:Landroid/webkit/PermissionRequest;
    if-eqz v1, :done
    iput-object v2, p0, Lorg/medloupe/pocket/MainActivity;->asked:Landroid/webkit/PermissionRequest;
    if-eqz v0, :deny
    invoke-static {v1}, Lorg/medloupe/pocket/Asking;->allow(Landroid/webkit/PermissionRequest;)V
    return-void
    :deny
    invoke-virtual {v1}, Landroid/webkit/PermissionRequest;->deny()V
    return-void

    :position
    iget-object v1, p0, Lorg/medloupe/pocket/MainActivity;->place:Landroid/webkit/GeolocationPermissions$Callback;
    if-eqz v1, :done
    iput-object v2, p0, Lorg/medloupe/pocket/MainActivity;->place:Landroid/webkit/GeolocationPermissions$Callback;
    iget-object v3, p0, Lorg/medloupe/pocket/MainActivity;->origin:Ljava/lang/String;
    const/4 v2, 0x0
    invoke-interface {v1, v3, v0, v2}, Landroid/webkit/GeolocationPermissions$Callback;->invoke(Ljava/lang/String;ZZ)V
    :done
    return-void
.end method
