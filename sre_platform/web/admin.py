from django.contrib import admin

admin.site.site_header = "SRE platform"
admin.site.site_title = "SRE platform"
admin.site.index_title = "What the platform knows, and what it may do"
